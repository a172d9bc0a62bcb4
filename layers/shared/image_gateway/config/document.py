"""The configuration's document: the JSON text in the parameter, and the long values that it keeps in the bucket.

The document is a flat JSON object of the fields that are set. Workflows, and other values that would make the document
too long, are objects in the bucket whose key is the SHA-256 of their content. The document then has their `s3://` URI.
"""

import hashlib
import json
import logging
import re
from collections.abc import Mapping
from typing import Any

from image_gateway.aws import TOO_LARGE, AwsError, Bucket
from image_gateway.errors import TooLarge
from image_gateway.models.config import SECRETS, ImagesConfig
from image_gateway.models.fields import is_deeper

logger = logging.getLogger(__name__)

STANDARD_BYTES = 4_096
"""Maximum size of a value that Parameter Store keeps free of charge (Systems Manager's quotas)."""
ADVANCED_BYTES = 8_192
"""Maximum size of any value in Parameter Store."""
MAX_LONG_VALUE_BYTES = 20_000_000
"""Largest object with a long value that is read. Updates store no value that is larger."""
_MAX_DEPTH = 500
"""Most levels of nesting in a document. It could not be written back if it had almost as many as can be parsed."""
_REFERENCE = re.compile(r"s3://[^/]+/config/[0-9a-f]{64}\.json")
_MISSING = object()
_ALWAYS_IN_BUCKET = ("COMFYUI_WORKFLOW", "IMAGES_EDIT_COMFYUI_WORKFLOW")


class DamagedDocumentError(Exception):
    """The text in the parameter is not a JSON object, or it is nested too deeply."""


class ConfigDocument:
    """Encodes and decodes the document, and writes and reads its long values.

    Args:
        bucket: the bucket for long values.
        bucket_name: its name.
    """

    def __init__(self, bucket: Bucket, bucket_name: str) -> None:
        self._bucket = bucket
        self._bucket_name = bucket_name
        # An object with a given hash never changes, so it is read once.
        self._long_values: dict[str, Any] = {}

    async def encode(self, values: dict[str, Any], kept: Mapping[str, Any]) -> str:
        """Return the document for these fields, after writing its long values to the bucket.

        If possible, the document is short enough for a free parameter. Secrets are never moved to the bucket.

        Args:
            values: the fields of the configuration that are set.
            kept: other fields, as they are in the stored document. They stay as they are, because they may be secrets.

        Raises:
            TooLarge: the document is longer than `ADVANCED_BYTES`.
            AwsError: the bucket does not accept a value.
        """
        fields = {
            name: await self._move_to_bucket(value) if _must_be_in_bucket(name, value) else value
            for name, value in values.items()
        }
        movable = sorted(
            (name for name in fields if name not in SECRETS), key=lambda name: -len(json.dumps(fields[name]))
        )
        while len(text := _dumps({**fields, **kept})) > STANDARD_BYTES and movable:
            name = movable.pop(0)
            if len(json.dumps(fields[name])) > len(self._uri("0" * 64)) + 2:
                fields[name] = await self._move_to_bucket(values[name])
        if len(text) > ADVANCED_BYTES:
            raise TooLarge(
                f"The configuration takes {len(text)} bytes of the {ADVANCED_BYTES} a parameter holds: shorten the keys"
            )
        return text

    async def decode(self, text: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return all fields of a document as they are, and those of this version with their long values.

        Of the latter, a field whose object is lost or damaged is left out and logged, so that one object does not make
        the whole configuration unreadable. A request that needs the field reports that it is not set.

        Raises:
            DamagedDocumentError: the text is not a JSON object, or it is nested too deeply.
            AwsError: the bucket does not respond.
        """
        document = _loads(text)
        values = {}
        for name in document.keys() & ImagesConfig.model_fields.keys():
            value = document[name]
            if not (isinstance(value, str) and _REFERENCE.fullmatch(value)):
                values[name] = value
            elif (long_value := await self._read_from_bucket(value)) is not _MISSING:
                values[name] = long_value
            else:
                logger.error("a long configuration value is missing", extra={"field": name, "object": value})
        return document, values

    async def _move_to_bucket(self, value: Any) -> str:
        """Write a value to the bucket under its hash, and return its URI."""
        body = json.dumps(value).encode()
        digest = hashlib.sha256(body).hexdigest()
        await self._bucket.put(f"config/{digest}.json", body, "application/json")
        return self._uri(digest)

    async def _read_from_bucket(self, uri: str) -> Any:
        """Return the value at a URI; `_MISSING` if there is none, or if it is not JSON.

        A URI can name another bucket, because a parameter can outlive its bucket: a stack that was deleted and deployed
        again has a new one.
        """
        if uri not in self._long_values:
            bucket_name, _, key = uri.removeprefix("s3://").partition("/")
            if bucket_name != self._bucket_name:
                return _MISSING
            try:
                body = await self._bucket.get(key, max_bytes=MAX_LONG_VALUE_BYTES)
            except AwsError as error:
                if error.gone or error.code == TOO_LARGE:
                    return _MISSING
                raise
            try:
                self._long_values[uri] = json.loads(body)
            except (ValueError, RecursionError):
                return _MISSING
        return self._long_values[uri]

    def _uri(self, digest: str) -> str:
        return f"s3://{self._bucket_name}/config/{digest}.json"


def _must_be_in_bucket(name: str, value: Any) -> bool:
    # A text that looks like a reference is moved too, so that every reference in a document is a real one.
    return bool(value) and (name in _ALWAYS_IN_BUCKET or (isinstance(value, str) and value.startswith("s3://")))


def _dumps(fields: dict[str, Any]) -> str:
    # Parameter Store rejects "{{". In JSON it occurs only inside strings, where an escape sequence can replace it.
    return json.dumps(fields, separators=(",", ":"), sort_keys=True).replace("{{", "{\\u007b")


def _loads(text: str) -> dict[str, Any]:
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError):
        fields = None
    if not isinstance(fields, dict) or is_deeper(fields, _MAX_DEPTH):
        raise DamagedDocumentError
    return fields
