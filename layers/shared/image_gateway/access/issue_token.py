"""`python -m image_gateway.access.issue_token --stack NAME`: makes a token of a deployment, for instance its first one.

Needs AWS credentials that may describe the stack and write its table; no route of the gateway is involved.
"""

import argparse
import sys
from contextlib import aclosing

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from image_gateway.access.principals import Role
from image_gateway.access.token_registry import TokenRegistry
from image_gateway.aws import Aws
from image_gateway.errors import GatewayError
from image_gateway.event_loop import run
from image_gateway.settings import Settings


def issue(stack: str, role: Role, name: str) -> str:
    """Make a token in the table of a stack and give its text, which nothing can show again.

    Raises:
        LookupError: the stack is not a deployment of the gateway.
        StorageUnavailable: the table cannot be written.
        botocore.exceptions.ClientError: there is no such stack, or no permission to see it.
    """
    found = boto3.client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]
    outputs = {item["OutputKey"]: item["OutputValue"] for item in found.get("Outputs", [])}
    if "TableName" not in outputs:
        raise LookupError(f"The stack {stack} has no output TableName: it is not a deployment of image-gateway")
    settings = Settings(
        config_parameter=outputs["ConfigParameterName"], bucket=outputs["BucketName"], table=outputs["TableName"]
    )
    return run(_create(settings, role, name))


async def _create(settings: Settings, role: Role, name: str) -> str:
    async with aclosing(Aws()) as aws:
        return (await TokenRegistry(aws, settings).create(name, role)).token


def main() -> None:
    """Read the command line and print the token."""
    parser = argparse.ArgumentParser(prog="python -m image_gateway.access.issue_token", description=__doc__)
    parser.add_argument("--stack", required=True, help="name of the CloudFormation stack")
    parser.add_argument("--role", choices=[role.name.lower() for role in Role], default="admin")
    parser.add_argument("--name", default="first", help="for people")
    options = parser.parse_args()
    if not options.stack:
        parser.error("name the stack: make token STACK=image-gateway")
    try:
        token = issue(options.stack, Role[options.role.upper()], options.name)
    except (LookupError, GatewayError, BotoCoreError, ClientError) as error:
        sys.exit(f"No token was made: {error}")
    sys.stdout.write(f"{token}\n")


if __name__ == "__main__":
    main()
