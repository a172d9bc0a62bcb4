"""AWS on a laptop: moto's server over HTTP, with the resources of the template in it."""

import logging
import os
from typing import Self

import boto3
from moto.moto_server.threaded_moto_server import ThreadedMotoServer

from sandbox.template import Template

REGION = "eu-central-1"


class EmbeddedAws:
    """moto's server, for the life of a `with` block."""

    def __init__(self) -> None:
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self._server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)

    def __enter__(self) -> Self:
        """Start the server on a free port."""
        self._server.start()
        host, port = self._server.get_host_and_port()
        self.url = f"http://{host}:{port}"
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it; what it held is gone."""
        self._server.stop()

    @property
    def variables(self) -> dict[str, str]:
        """The environment variables that make any AWS client use this server."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ACCESS_KEY_ID": "sandbox",
            "AWS_SECRET_ACCESS_KEY": "sandbox",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def deploy(self, template: Template) -> None:
        """Make the template's bucket and table."""
        os.environ.update(self.variables)
        for name, resource in template.document["Resources"].items():
            properties = resource["Properties"]
            if resource["Type"] == "AWS::S3::Bucket":
                boto3.client("s3").create_bucket(
                    Bucket=template.values[name], CreateBucketConfiguration={"LocationConstraint": REGION}
                )
            elif resource["Type"] == "AWS::DynamoDB::Table":
                known = ("AttributeDefinitions", "KeySchema", "BillingMode", "GlobalSecondaryIndexes")
                boto3.client("dynamodb").create_table(
                    TableName=template.values[name], **{key: properties[key] for key in known if key in properties}
                )
                boto3.client("dynamodb").update_time_to_live(
                    TableName=template.values[name],
                    TimeToLiveSpecification=properties["TimeToLiveSpecification"],
                )
