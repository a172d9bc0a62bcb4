"""The configuration in Parameter Store: one SecureString, replaced whole.

The parameter holds a flat JSON document of the fields that were explicitly set. Workflows, and whatever would make the
document too long, lie in the bucket under the SHA-256 of their content; the document then holds their `s3://` URI.
The parameter's version is the configuration's version: its `ETag`.
"""

import hashlib
import json
import logging
import os
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from image_gateway.aws import Aws, AwsError, Bucket, storage_errors, unavailable
from image_gateway.aws.locks import Locks
from image_gateway.config.merge import fallback, merge, timeout_problem
from image_gateway.errors import InvalidRequest, PreconditionFailed, StorageUnavailable, TooLarge
from image_gateway.models.config import SECRETS, ImagesConfig
from image_gateway.settings import Settings

logger = logging.getLogger(__name__)

STANDARD_BYTES = 4_096
"""Up to here Parameter Store keeps a value for nothing (Systems Manager's quotas)."""
ADVANCED_BYTES = 8_192
"""The longest value Parameter Store takes."""
_REFERENCE = re.compile(r"s3://[^/]+/config/[0-9a-f]{64}\.json")
_GONE = object()
_TIMEOUT = "IMAGE_ENGINE_TIMEOUT"
_ALWAYS_IN_BUCKET = ("COMFYUI_WORKFLOW", "IMAGES_EDIT_COMFYUI_WORKFLOW")


@dataclass(frozen=True, slots=True)
class VersionedConfig:
    """A configuration and the version of the parameter it was read from; 0 where nothing was ever stored."""

    config: ImagesConfig
    version: int

    @property
    def etag(self) -> str:
        """The version as a strong HTTP entity tag."""
        return f'"{self.version}"'


class ConfigStore:
    """Reads and replaces the configuration of one deployment.

    Args:
        aws: Parameter Store for the document, S3 for long values.
        settings: names the parameter, the bucket and how long a read is used.
        locks: lets writers take turns.
        environ: where fields that are not stored are looked up before their defaults.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        aws: Aws,
        settings: Settings,
        locks: Locks,
        *,
        environ: Mapping[str, str] = os.environ,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._aws = aws
        self._bucket = Bucket(aws, settings.bucket)
        self._settings = settings
        self._locks = locks
        self._environ = environ
        self._clock = clock
        self._cached: VersionedConfig | None = None
        self._read_at = float("-inf")
        self._long_values: dict[str, Any] = {}

    async def read(self) -> VersionedConfig:
        """The configuration, at most `config_ttl_seconds` old, or older while Parameter Store fails.

        Raises:
            StorageUnavailable: it cannot be read, and never was in this process.
            NotConfigured: an environment variable that stands in for a field does not validate.
        """
        if self._cached and self._clock() - self._read_at < self._settings.config_ttl_seconds:
            return self._cached
        try:
            return self._remember(await self._load())
        except StorageUnavailable:
            if self._cached is None:
                raise
            logger.warning("serving a stale configuration", extra={"config_version": self._cached.version})
            return self._cached

    async def update(self, changes: ImagesConfig, *, if_match: frozenset[int] | None = None) -> VersionedConfig:
        """Set the fields that `changes` has set, and keep all others. Nothing is written where nothing changes.

        Args:
            changes: the fields to set; a secret that reads `MASK` keeps its value.
            if_match: versions one of which must be current; None: whichever is.

        Raises:
            PreconditionFailed: another version is current.
            Busy: other writers hold the lock for too long.
            InvalidRequest: the outcome does not validate, would send a secret to another origin, or asks for an engine
                timeout that no worker has.
            TooLarge: the document would not fit into a parameter.
        """
        async with self._locks.hold("config"):
            current = await self._load()
            if if_match is not None and current.version not in if_match:
                raise PreconditionFailed(
                    f"The configuration is at version {current.version} by now: read it again and repeat the change"
                )
            config = merge(current.config, changes)
            self._check_timeout(config, changes)
            if config == current.config:
                return self._remember(current)
            return self._remember(await self._save(config, current.version))

    def _check_timeout(self, config: ImagesConfig, changes: ImagesConfig) -> None:
        worker = self._settings.worker_timeout_seconds
        if worker and _TIMEOUT in changes.model_fields_set and (problem := timeout_problem(config, worker)):
            raise InvalidRequest(problem, field=_TIMEOUT)

    def _remember(self, found: VersionedConfig) -> VersionedConfig:
        self._cached, self._read_at = found, self._clock()
        return found

    async def _load(self) -> VersionedConfig:
        base = fallback(self._environ)
        try:
            found = await self._aws.call(
                "ssm", "GetParameter", Name=self._settings.config_parameter, WithDecryption=True
            )
            version = found["Parameter"]["Version"]
            document = {}
            for name, value in _document(found["Parameter"]["Value"]).items():
                if not _REFERENCE.fullmatch(str(value)):
                    document[name] = value
                elif (long_value := await self._resolved(value)) is not _GONE:
                    document[name] = long_value
                else:
                    # One lost object must not take everything else away; who needs the field is told that it is unset.
                    logger.error("a long configuration value is gone", extra={"field": name, "object": value})
            return VersionedConfig(ImagesConfig.model_validate({**base, **document}), version)
        except AwsError as error:
            if error.code == "ParameterNotFound":
                return VersionedConfig(ImagesConfig.model_validate(base), 0)
            raise unavailable("The configuration cannot be read", error) from error
        except ValidationError as error:
            fields = ", ".join(sorted({".".join(map(str, item["loc"])) or item["msg"] for item in error.errors()}))
            raise StorageUnavailable(
                f"The stored configuration (version {version}) does not validate: {fields}. Restore an older version "
                "from the parameter's history"
            ) from None

    async def _save(self, config: ImagesConfig, expected: int) -> VersionedConfig:
        base = ImagesConfig.model_validate(fallback(self._environ)).model_dump()
        values = {name: value for name, value in config.model_dump().items() if value != base[name]}
        with storage_errors("The configuration was not stored"):
            text = await self._encoded(values)
            options: dict[str, Any] = {"KeyId": self._settings.kms_key_id} if self._settings.kms_key_id else {}
            put = await self._aws.call(
                "ssm",
                "PutParameter",
                Name=self._settings.config_parameter,
                Value=text,
                Type="SecureString",
                Tier="Intelligent-Tiering",
                Overwrite=True,
                **options,
            )
        if put["Version"] != expected + 1:
            # Only somebody who writes the parameter without the lock (the console, say) comes between.
            logger.warning(
                "the configuration was also written from outside",
                extra={"config_version": put["Version"], "expected_version": expected + 1},
            )
        return VersionedConfig(config, put["Version"])

    async def _encoded(self, values: dict[str, Any]) -> str:
        """The document, short enough for a free parameter where moving long values to the bucket can make it so."""
        document = {
            name: await self._moved(value) if _must_move(name, value) else value for name, value in values.items()
        }
        movable = sorted(
            (name for name in document if name not in SECRETS), key=lambda name: -len(json.dumps(document[name]))
        )
        while len(text := _dumps(document)) > STANDARD_BYTES and movable:
            name = movable.pop(0)
            if len(json.dumps(document[name])) > len(self._uri("0" * 64)) + 2:
                document[name] = await self._moved(values[name])
        if len(text) > ADVANCED_BYTES:
            raise TooLarge(
                f"The configuration takes {len(text)} bytes of the {ADVANCED_BYTES} a parameter holds: shorten the keys"
            )
        return text

    async def _moved(self, value: Any) -> str:
        """Put a value into the bucket under its hash; answer its URI."""
        body = json.dumps(value).encode()
        digest = hashlib.sha256(body).hexdigest()
        await self._bucket.put(f"config/{digest}.json", body, "application/json")
        return self._uri(digest)

    async def _resolved(self, uri: str) -> Any:
        """The value behind a URI of ours, read once, as content never changes under its hash; `_GONE` where it is not.

        A parameter can outlive its bucket: the bucket of a stack that was deleted and deployed anew is another one.
        """
        if uri not in self._long_values:
            bucket, _, key = uri.removeprefix("s3://").partition("/")
            if bucket != self._settings.bucket:
                return _GONE
            try:
                found = await self._bucket.get(key)
            except AwsError as error:
                if error.gone:
                    return _GONE
                raise
            self._long_values[uri] = json.loads(found)
        return self._long_values[uri]

    def _uri(self, digest: str) -> str:
        return f"s3://{self._settings.bucket}/config/{digest}.json"


def _must_move(name: str, value: Any) -> bool:
    # A text that itself looks like a reference is moved too, so that a reference always means the bucket.
    return bool(value) and (name in _ALWAYS_IN_BUCKET or (isinstance(value, str) and value.startswith("s3://")))


def _dumps(document: dict[str, Any]) -> str:
    # Parameter Store refuses "{{", which in JSON can only stand inside a string: written as an escape it is allowed.
    return json.dumps(document, separators=(",", ":"), sort_keys=True).replace("{{", "{\\u007b")


def _document(text: str) -> dict[str, Any]:
    try:
        document = json.loads(text)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise StorageUnavailable("The stored configuration is not a JSON object: restore an older version")
    return document
