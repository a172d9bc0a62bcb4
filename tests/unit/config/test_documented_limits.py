"""How many connections fit, as the manual says."""

import json

import pytest

from image_gateway.aws import Aws, Bucket
from image_gateway.config.document import ConfigDocument
from image_gateway.errors import TooLarge
from image_gateway.settings import Settings
from sandbox.template import ROOT

pytestmark = pytest.mark.anyio

FIELDS = {
    "ENABLE_IMAGE_GENERATION": True,
    "ENABLE_IMAGE_EDIT": True,
    "IMAGE_GENERATION_MODEL": "gpt-image-2",
    "IMAGE_EDIT_MODEL": "gpt-image-2",
    "IMAGES_OPENAI_API_KEY": "k" * 164,
    "IMAGES_EDIT_OPENAI_API_KEY": "k" * 164,
    "IMAGES_GEMINI_API_KEY": "k" * 39,
    "COMFYUI_BASE_URL": "http://10.0.1.20:8188",
}
"""A configuration with three keys. Its workflows are two URIs."""


@pytest.mark.parametrize(("length", "count"), [(164, 39), (84, 69), (39, 123)])
async def test_the_manual_says_how_many_keys_fit(aws: Aws, settings: Settings, length: int, count: int) -> None:
    """With one connection more than the manual says, the document is too long for a parameter."""
    document = ConfigDocument(Bucket(aws, settings.bucket), settings.bucket)
    uri = f"s3://image-gateway-bucket-abcdefgh/config/{'0' * 64}.json"
    workflows = {"COMFYUI_WORKFLOW": uri, "COMFYUI_WORKFLOW_NODES": uri}

    def kept(number: int) -> dict[str, object]:
        keys = {f"connection-{at:02d}": "k" * length for at in range(number)}
        return {**FIELDS, **workflows, "_catalogue": "0" * 64, "_connection_keys": keys}

    assert len(json.loads(await document.encode({}, kept(count)))["_connection_keys"]) == count
    with pytest.raises(TooLarge):
        await document.encode({}, kept(count + 1))
    text = (ROOT / "docs/limits.md").read_text()
    assert f"{count} with {length}" in text or f"{count} connections with keys of {length}" in text
