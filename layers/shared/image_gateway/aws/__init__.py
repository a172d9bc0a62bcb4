"""AWS as the gateway uses it: asynchronous, small, and quick to load."""

from image_gateway.aws.bucket import Bucket
from image_gateway.aws.client import Aws, create_client
from image_gateway.aws.errors import TOO_LARGE, AwsError

__all__ = ["TOO_LARGE", "Aws", "AwsError", "Bucket", "create_client", "error_code"]


def error_code(error: Exception) -> str:
    """The service's code of a client's error, such as `ParameterNotFound`, or the kind of the failure."""
    if isinstance(error, AwsError):
        return error.code
    response = getattr(error, "response", None)
    return str(response["Error"]["Code"]) if response else type(error).__name__
