"""AWS on a laptop: moto's server over HTTP, with the resources of the template in it."""

import logging
import os
from typing import Final, Self

import boto3
from moto.moto_server.threaded_moto_server import ThreadedMotoServer

from sandbox.template import Template

REGION: Final = "eu-central-1"


class EmbeddedAws:
    """moto's server, for the life of a `with` block; meanwhile it is the only AWS that this process knows.

    moto keeps what it holds for the life of the process, so a second server finds what the first one was given.
    """

    def __init__(self) -> None:
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self._server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        self._before: dict[str, str] = {}

    def __enter__(self) -> Self:
        """Start the server on a free port."""
        self._server.start()
        host, port = self._server.get_host_and_port()
        self.url = f"http://{host}:{port}"
        # A developer's own profile or session token must neither be needed nor be sent.
        self._before = _take_variables()
        os.environ.update(self.variables)
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it, and give the process its own AWS variables back."""
        self._server.stop()
        _take_variables()
        os.environ.update(self._before)

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
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        }

    def deploy(self, template: Template) -> None:
        """Make the template's bucket and table."""
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


def _take_variables() -> dict[str, str]:
    """Remove all of AWS's variables from this process's environment, and give them."""
    return {name: os.environ.pop(name) for name in list(os.environ) if name.startswith("AWS_")}
