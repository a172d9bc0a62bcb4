"""boto3's clients of the AWS that the environment names, each created once: that takes longer than a request."""

import os
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, overload

import boto3

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_ssm import SSMClient


@overload
def aws_client(service: Literal["dynamodb"]) -> "DynamoDBClient": ...
@overload
def aws_client(service: Literal["events"]) -> "EventBridgeClient": ...
@overload
def aws_client(service: Literal["s3"]) -> "S3Client": ...
@overload
def aws_client(service: Literal["sqs"]) -> "SQSClient": ...
@overload
def aws_client(service: Literal["ssm"]) -> "SSMClient": ...
def aws_client(service: str) -> Any:
    """Return boto3's client of a service."""
    return _client(service, os.environ["AWS_ENDPOINT_URL"])


@cache
def _client(service: Any, url: str) -> Any:
    return boto3.client(service, endpoint_url=url)
