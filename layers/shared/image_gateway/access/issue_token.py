"""`python -m image_gateway.access.issue_token --stack NAME`: creates a token for a deployment, such as its first one.

Needs AWS credentials that may describe the stack and write to its table. It does not call the gateway.
"""

import argparse
import sys
from collections.abc import Collection
from contextlib import aclosing
from typing import TypedDict, cast

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from image_gateway.access.principals import Role
from image_gateway.access.token_limits import LIMITS
from image_gateway.access.token_registry import TokenRegistry
from image_gateway.aws import Aws
from image_gateway.errors import GatewayError
from image_gateway.event_loop import run
from image_gateway.settings import Settings


class Limits(TypedDict, total=False):
    """What a token may use; None: everything."""

    engines: Collection[str] | None
    models: Collection[str] | None
    connections: Collection[str] | None
    routes: Collection[str] | None


def issue(stack: str, role: Role, name: str, limits: Limits | None = None) -> str:
    """Create a token in the table of a stack and return its secret, which cannot be shown again.

    Args:
        stack: name of the CloudFormation stack.
        role: what the token may do.
        name: a name for people.
        limits: what the token may use; None: everything.

    Raises:
        LookupError: the stack is not a deployment of the gateway.
        StorageUnavailable: the table cannot be written.
        botocore.exceptions.ClientError: the stack does not exist, or the credentials may not describe it.
    """
    description = boto3.client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]
    outputs = {item["OutputKey"]: item["OutputValue"] for item in description.get("Outputs", [])}
    if "TableName" not in outputs:
        raise LookupError(f"The stack {stack} has no output TableName: it is not a deployment of image-gateway")
    settings = Settings(
        config_parameter=outputs["ConfigParameterName"], bucket=outputs["BucketName"], table=outputs["TableName"]
    )
    return run(_create(settings, role, name, limits or {}))


async def _create(settings: Settings, role: Role, name: str, limits: Limits) -> str:
    async with aclosing(Aws()) as aws:
        return (await TokenRegistry(aws, settings).create(name, role, **limits)).token


def main() -> None:
    """Parse the command line, create a token and print its secret."""
    parser = argparse.ArgumentParser(prog="python -m image_gateway.access.issue_token", description=__doc__)
    parser.add_argument("--stack", required=True, help="name of the CloudFormation stack")
    parser.add_argument("--role", choices=[role.name.lower() for role in Role], default="admin")
    parser.add_argument("--name", default="first", help="name of the token, for people")
    for limit in LIMITS:
        parser.add_argument(f"--{limit}", nargs="+", metavar="NAME", help=f"{limit} that the token may use")
    options = parser.parse_args()
    if not options.stack:
        parser.error("name the stack: make token STACK=image-gateway")
    try:
        limits = cast("Limits", {limit: getattr(options, limit) for limit in LIMITS})
        token = issue(options.stack, Role[options.role.upper()], options.name, limits)
    except (LookupError, GatewayError, BotoCoreError, ClientError) as error:
        sys.exit(f"No token was created: {error}")
    sys.stdout.write(f"{token}\n")


if __name__ == "__main__":
    main()
