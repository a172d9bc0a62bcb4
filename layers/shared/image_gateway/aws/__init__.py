"""AWS as the gateway uses it: asynchronous, small, and quick to load."""

from image_gateway.aws.bucket import Bucket
from image_gateway.aws.client import Aws, create_transport
from image_gateway.aws.errors import TOO_LARGE, AwsError

__all__ = ["TOO_LARGE", "Aws", "AwsError", "Bucket", "create_transport"]
