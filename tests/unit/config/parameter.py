"""The configuration's parameter as Parameter Store has it."""

import json
from collections.abc import Callable
from typing import Any

from image_gateway.settings import Settings
from tests.aws_clients import aws_client
from tests.unit.config.config_store import ConfigStore

MakeStore = Callable[..., ConfigStore]

LONG_WORKFLOW = json.dumps({"1": {"class_type": "CLIPTextEncode", "inputs": {"text": "{{prompt}} " + "x" * 40_000}}})


def stored_document(settings: Settings) -> str:
    """Return the current value of the parameter, decrypted."""
    response = aws_client("ssm").get_parameter(Name=settings.config_parameter, WithDecryption=True)
    return response["Parameter"]["Value"]


def stored_versions(settings: Settings) -> list[dict[str, Any]]:
    """Return all values that the parameter has had, the oldest first."""
    paginator = aws_client("ssm").get_paginator("get_parameter_history")
    pages = paginator.paginate(Name=settings.config_parameter, WithDecryption=True)
    return [json.loads(item["Value"]) for page in pages for item in page["Parameters"]]
