"""Storage of the configuration in Parameter Store: one SecureString with the document of `config.document`.

Every update replaces the whole document. The version of the configuration, and its `ETag`, is the parameter's version.
"""

import logging
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from image_gateway.aws import Aws, AwsError, Bucket, storage_errors, unavailable
from image_gateway.aws.locks import Locks
from image_gateway.config.document import ConfigDocument
from image_gateway.config.fallbacks import environment_values
from image_gateway.config.merge import merge
from image_gateway.config.timeouts import timeout_problem
from image_gateway.errors import InvalidRequest, PreconditionFailed, StorageUnavailable
from image_gateway.models.config import ImagesConfig
from image_gateway.settings import Settings

logger = logging.getLogger(__name__)

_TIMEOUT_FIELD = "IMAGE_ENGINE_TIMEOUT"


@dataclass(frozen=True, slots=True)
class VersionedConfig:
    """A configuration, and the version of its parameter; 0 if none has been stored yet."""

    config: ImagesConfig
    version: int

    @property
    def etag(self) -> str:
        """The version as a strong HTTP entity tag."""
        return f'"{self.version}"'


class ConfigStore:
    """Reads and updates the configuration of one deployment.

    Args:
        aws: Parameter Store for the document, S3 for long values.
        settings: names the parameter and the bucket, and says how long a configuration may be cached.
        locks: serialises updates.
        environ: environment variables, for fields that are not stored.
        clock: returns monotonic seconds.
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
        self._document = ConfigDocument(Bucket(aws, settings.bucket), settings.bucket)
        self._settings = settings
        self._locks = locks
        self._environ = environ
        self._clock = clock
        self._cached: VersionedConfig | None = None
        self._cached_at = float("-inf")

    async def read(self) -> VersionedConfig:
        """Return the configuration.

        It is at most `config_ttl_seconds` old, or older while Parameter Store fails.

        Raises:
            StorageUnavailable: it cannot be read, and this process has no earlier version.
            NotConfigured: an environment variable for a field does not validate.
        """
        if self._cached and self._clock() - self._cached_at < self._settings.config_ttl_seconds:
            return self._cached
        try:
            return self._cache(await self._load())
        except StorageUnavailable:
            if self._cached is None:
                raise
            logger.warning("serving a stale configuration", extra={"config_version": self._cached.version})
            return self._cached

    async def update(self, changes: ImagesConfig, *, if_match: frozenset[int] | None = None) -> VersionedConfig:
        """Set the fields that are set in `changes`, and keep all others. Nothing is written if no value changes.

        Args:
            changes: the fields to set; a secret with the value `MASK` is unchanged.
            if_match: the versions of which one must be current; None for any.

        Raises:
            PreconditionFailed: another version is current.
            Busy: the lock was not free in time.
            InvalidRequest: the result does not validate, would send a secret to another origin, or has an engine
                timeout that is too long for the worker.
            TooLarge: the document does not fit into a parameter.
            StorageUnavailable: the configuration could not be read or written.
        """
        async with self._locks.hold("config"):
            current = await self._load()
            if if_match is not None and current.version not in if_match:
                raise PreconditionFailed(
                    f"The configuration is now at version {current.version}: read it again and repeat the change"
                )
            config = merge(current.config, changes)
            self._check_timeout(config, changes)
            if config == current.config:
                return self._cache(current)
            return self._cache(await self._save(config, current.version))

    def _check_timeout(self, config: ImagesConfig, changes: ImagesConfig) -> None:
        worker_seconds = self._settings.worker_timeout_seconds
        if not worker_seconds or _TIMEOUT_FIELD not in changes.model_fields_set:
            return
        if problem := timeout_problem(config, worker_seconds):
            raise InvalidRequest(problem, field=_TIMEOUT_FIELD)

    def _cache(self, current: VersionedConfig) -> VersionedConfig:
        self._cached, self._cached_at = current, self._clock()
        return current

    async def _load(self) -> VersionedConfig:
        defaults = environment_values(self._environ)
        try:
            response = await self._aws.call(
                "ssm", "GetParameter", Name=self._settings.config_parameter, WithDecryption=True
            )
            version = response["Parameter"]["Version"]
            fields = await self._document.decode(response["Parameter"]["Value"])
            return VersionedConfig(ImagesConfig.model_validate({**defaults, **fields}), version)
        except AwsError as error:
            if error.code == "ParameterNotFound":
                return VersionedConfig(ImagesConfig.model_validate(defaults), 0)
            raise unavailable("The configuration cannot be read", error) from error
        except ValidationError as error:
            names = ", ".join(sorted({".".join(map(str, item["loc"])) or item["msg"] for item in error.errors()}))
            raise StorageUnavailable(
                f"The stored configuration (version {version}) does not validate: {names}. Restore an older version "
                "from the parameter's history"
            ) from None

    async def _save(self, config: ImagesConfig, current_version: int) -> VersionedConfig:
        defaults = ImagesConfig.model_validate(environment_values(self._environ)).model_dump()
        values = {name: value for name, value in config.model_dump().items() if value != defaults[name]}
        with storage_errors("The configuration was not stored"):
            text = await self._document.encode(values)
            options: dict[str, Any] = {"KeyId": self._settings.kms_key_id} if self._settings.kms_key_id else {}
            response = await self._aws.call(
                "ssm",
                "PutParameter",
                Name=self._settings.config_parameter,
                Value=text,
                Type="SecureString",
                Tier="Intelligent-Tiering",
                Overwrite=True,
                **options,
            )
        if response["Version"] != current_version + 1:
            # Only a write without the lock, for example from the console, can come between.
            logger.warning(
                "the configuration was also written from outside the gateway",
                extra={"config_version": response["Version"], "expected_version": current_version + 1},
            )
        return VersionedConfig(config, response["Version"])
