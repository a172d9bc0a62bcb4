"""boto3 clients, each made when it is first needed: a function pays at start only for those it uses.

A client is safe to share between threads; every call to one blocks, so async code calls it through `asyncio.to_thread`.
"""

import os
import threading
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import boto3
    from botocore.config import Config
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_ssm import SSMClient


class Clients:
    """The AWS services the gateway uses, in the region and with the credentials of the environment."""

    def __init__(self) -> None:
        # boto3's sessions are not safe to share while clients are made.
        self._making = threading.Lock()

    @cached_property
    def ssm(self) -> "SSMClient":
        """Parameter Store."""
        with self._making:
            return self._session.client("ssm", config=_config())

    @cached_property
    def dynamodb(self) -> "DynamoDBClient":
        """The table."""
        with self._making:
            return self._session.client("dynamodb", config=_config())

    @cached_property
    def sqs(self) -> "SQSClient":
        """The queue of jobs."""
        with self._making:
            return self._session.client("sqs", config=_config())

    @cached_property
    def events(self) -> "EventBridgeClient":
        """The event bus."""
        with self._making:
            return self._session.client("events", config=_config())

    @cached_property
    def s3(self) -> "S3Client":
        """The bucket, by its regional, virtual-hosted address: presigned URLs of newer regions need that."""
        custom = "AWS_ENDPOINT_URL_S3" in os.environ or "AWS_ENDPOINT_URL" in os.environ
        style = {"addressing_style": "path" if custom else "virtual", "us_east_1_regional_endpoint": "regional"}
        with self._making:
            return self._session.client("s3", config=_config(signature_version="s3v4", s3=style))

    @cached_property
    def errors(self) -> tuple[type[Exception], ...]:
        """What a call of any client may raise, for an `except` clause."""
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - as below

        from image_gateway.aws.errors import AwsError  # noqa: PLC0415 - as above

        return BotoCoreError, ClientError, AwsError

    @cached_property
    def _session(self) -> "boto3.session.Session":
        import boto3  # noqa: PLC0415 - 130 ms that a function without AWS calls at start should not pay

        return boto3.session.Session()


def _config(**options: Any) -> "Config":
    from botocore.config import Config  # noqa: PLC0415 - as above

    limits: dict[str, Any] = {"connect_timeout": 3, "read_timeout": 10, "max_pool_connections": 50}
    return Config(retries={"mode": "standard", "total_max_attempts": 4}, **limits, **options)
