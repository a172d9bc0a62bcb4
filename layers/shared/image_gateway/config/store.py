"""Storage of the configuration in Parameter Store: one SecureString with the document of `config.document`.

Every update replaces the whole document. The version of the configuration, and its `ETag`, is the parameter's version.

Parameter Store gives an account 40 reads a second by default. So a process reads for all its jobs together, at moments
that are random within limits, and sends a throttled read again only if it has no configuration yet.
"""

import asyncio
import logging
import os
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import TypeVar

from image_gateway.aws import Aws, Bucket, Remaining, storage_errors, time_limit
from image_gateway.aws.locks import Locks
from image_gateway.config import catalogue_store
from image_gateway.config.catalogue import Catalogue
from image_gateway.config.catalogue_draft import CatalogueDraft
from image_gateway.config.catalogue_store import CatalogueStore
from image_gateway.config.document import ConfigDocument, DamagedDocumentError
from image_gateway.config.fallbacks import environment_values
from image_gateway.config.merge import merge
from image_gateway.config.parameter import NOT_READ, ConfigParameter
from image_gateway.config.response_size import check_response_size
from image_gateway.config.stored_values import usable_config
from image_gateway.config.timeouts import timeout_problem
from image_gateway.config.versioned import VersionedConfig
from image_gateway.config.workflow_checks import check_node_maps
from image_gateway.errors import InvalidRequest, PreconditionFailed, StorageUnavailable
from image_gateway.models.config import ImagesConfig
from image_gateway.settings import Settings

logger = logging.getLogger(__name__)

T = TypeVar("T")

_TIMEOUT_FIELD = "IMAGE_ENGINE_TIMEOUT"
_MAX_REFRESH_SECONDS = 2.0
"""How long a request waits for a newer configuration, if this process has one already."""
_FIRST_READ_SECONDS = 15.0
"""How long a first read may take if its caller does not say so. The config function has 29 s."""
_MIN_READ_SECONDS = 2.0
"""How long a first read may take even if its caller has no time left."""
_FIRST_PAUSE_SECONDS = 0.25
_MAX_PAUSE_SECONDS = 3.0
_RETRY_SECONDS = 5.0
"""How long, on average, a configuration is used after its refresh failed, so that not every read tries it again."""
_LIFETIME_JITTER = 0.2
"""By how much of it a lifetime may be shorter, so that processes that started together do not read together."""


class _DamagedConfiguration(StorageUnavailable):
    """The stored configuration is not a JSON object.

    Attributes:
        version: the version of its parameter.
    """

    def __init__(self, version: int) -> None:
        super().__init__(f"The stored configuration (version {version}) is not a JSON object")
        self.version = version


class ConfigStore:
    """Reads and updates the configuration of one deployment.

    Args:
        aws: Parameter Store for the document, S3 for long values.
        settings: names the parameter and the bucket, and says how long a configuration may be cached.
        locks: serializes updates.
        environ: environment variables, for fields that are not stored.
        clock: returns monotonic seconds.
        sleep: waits for a number of seconds.
        jitter: returns a random number from 0 to 1.
    """

    def __init__(
        self,
        aws: Aws,
        settings: Settings,
        locks: Locks,
        *,
        environ: Mapping[str, str] = os.environ,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        bucket = Bucket(aws, settings.bucket)
        self._parameter = ConfigParameter(aws, settings)
        self._document = ConfigDocument(bucket, settings.bucket)
        self._catalogues = CatalogueStore(bucket)
        self._settings = settings
        self._locks = locks
        self._environ = environ
        self._clock = clock
        self._sleep = sleep
        self._jitter = jitter
        self._cached: VersionedConfig | None = None
        self._fresh_until = float("-inf")
        self._reading = asyncio.Lock()
        self._reads = 0
        self._logged_version = 0

    async def read(self, remaining: Remaining | None = None) -> VersionedConfig:
        """Return the configuration.

        It is at most `config_ttl_seconds` old, or older while Parameter Store throttles or fails, or the document is
        damaged. If this process has no earlier version, a damaged document counts as missing, and a temporary failure
        is waited out.

        Args:
            remaining: returns the seconds that a first read may still take; by default it may take 15 s.

        Raises:
            StorageUnavailable: it cannot be read, and this process has no earlier version.
            NotConfigured: an environment variable for a field does not validate.
        """
        if self._cached is None:
            return await self._first_read(remaining or self._countdown(_FIRST_READ_SECONDS))
        if self._clock() < self._fresh_until:
            return self._cached
        return await self._refresh(self._cached)

    async def _first_read(self, remaining: Remaining) -> VersionedConfig:
        """Read the configuration, and again after pauses with jitter while that fails temporarily and time is left."""
        longest_pause = _FIRST_PAUSE_SECONDS
        async with time_limit(max(remaining(), _MIN_READ_SECONDS), NOT_READ), self._reading:
            # Several jobs of a worker start at once: one of them reads.
            while self._cached is None:
                try:
                    return self._cache(await self._load(retry_throttling=False))
                except _DamagedConfiguration as error:
                    return self._cache(self._defaults(error.version))
                except StorageUnavailable as error:
                    pause = longest_pause * self._jitter()
                    if not error.should_retry or pause >= remaining():
                        raise
                await self._sleep(pause)
                longest_pause = min(longest_pause * 2, _MAX_PAUSE_SECONDS)
            return self._cached

    async def _refresh(self, cached: VersionedConfig) -> VersionedConfig:
        """Read the configuration once, or keep the cached one for some seconds if that fails."""
        reads = self._reads
        try:
            async with time_limit(_MAX_REFRESH_SECONDS, NOT_READ), self._reading:
                # Another job of a worker has just done this.
                if self._reads != reads:
                    return self._cached or cached
                try:
                    return self._cache(await self._load(retry_throttling=False))
                finally:
                    self._reads += 1
        except StorageUnavailable:
            logger.warning("serving a stale configuration", extra={"config_version": cached.version})
            seconds = min(_RETRY_SECONDS, self._settings.config_ttl_seconds)
            self._fresh_until = self._clock() + seconds * (0.5 + self._jitter())
            return cached

    def _countdown(self, seconds: float) -> Remaining:
        end = self._clock() + seconds
        return lambda: end - self._clock()

    async def update(self, changes: ImagesConfig, *, if_match: frozenset[int] | None = None) -> VersionedConfig:
        """Set the fields that are set in `changes`, and keep all others. Nothing is written if no value changes.

        Stored fields that this version cannot use are kept too, unless they are set. A damaged document is replaced.

        Args:
            changes: the fields to set; a secret with the value `MASK` is unchanged.
            if_match: the versions of which one must be current; None for any.

        Raises:
            PreconditionFailed: another version is current.
            Busy: the lock was not free in time.
            InvalidRequest: the result does not validate, would send a secret to another origin, has an engine timeout
                that is too long for the worker, or a node map that does not match its workflow.
            TooLarge: the document does not fit into a parameter, or the configuration into a response.
            StorageUnavailable: the configuration could not be read or written.
        """
        async with self._locks.hold("config"):
            current = await self._load_or_defaults()
            _check_version(current, if_match)
            config = merge(current.config, changes)
            self._check_timeout(config, changes)
            check_node_maps(current.config, config)
            check_response_size(config)
            unused = current.unused.after(changes, current.config, config)
            if (config, unused) == (current.config, current.unused):
                return self._cache(current)
            return self._cache(await self._save(replace(current, config=config, unused=unused)))

    async def update_catalogue(
        self, change: Callable[[CatalogueDraft], T], *, if_match: frozenset[int] | None = None
    ) -> tuple[VersionedConfig, T]:
        """Change connections, routes and workflows, and keep the fields. Nothing is written if nothing changes.

        The object of the new catalogue is stored first. If the parameter is not stored after that, nobody refers to it.

        Args:
            change: changes the draft; what it raises is raised, and then nothing is stored.
            if_match: the versions of which one must be current; None for any.

        Returns:
            The new configuration, and what `change` has returned.

        Raises:
            PreconditionFailed: another version is current.
            Busy: the lock was not free in time.
            TooLarge: the catalogue is too large, or the keys do not fit into the parameter.
            StorageUnavailable: the configuration could not be read or written, or its catalogue is lost.
        """
        async with self._locks.hold("config"):
            current = await self._load_or_defaults()
            _check_version(current, if_match)
            # A catalogue that cannot be read now is not replaced: it may be readable again later.
            current.catalogue.require()
            draft = CatalogueDraft(current, self._settings.worker_timeout_seconds)
            result = change(draft)
            with storage_errors("The configuration was not stored"):
                catalogue = await self._catalogues.write(draft.document)
            if (catalogue.digest, draft.keys) == (current.catalogue.digest, current.keys):
                return self._cache(current), result
            return self._cache(await self._save(replace(current, catalogue=catalogue, keys=draft.keys))), result

    async def catalogue(self, digest: str) -> Catalogue:
        """Return an earlier catalogue by its hash, such as the one that a job was accepted with.

        Raises:
            StorageUnavailable: the bucket does not respond.
        """
        with storage_errors(NOT_READ):
            return await self._catalogues.read(digest)

    def _check_timeout(self, config: ImagesConfig, changes: ImagesConfig) -> None:
        worker_seconds = self._settings.worker_timeout_seconds
        if not worker_seconds or _TIMEOUT_FIELD not in changes.model_fields_set:
            return
        if problem := timeout_problem(config, worker_seconds):
            raise InvalidRequest(problem, field=_TIMEOUT_FIELD)

    def _cache(self, current: VersionedConfig) -> VersionedConfig:
        lifetime = self._settings.config_ttl_seconds * (1 - _LIFETIME_JITTER * self._jitter())
        self._cached, self._fresh_until = current, self._clock() + lifetime
        return current

    def _defaults(self, version: int) -> VersionedConfig:
        return VersionedConfig(ImagesConfig.model_validate(environment_values(self._environ)), version)

    async def _load_or_defaults(self) -> VersionedConfig:
        try:
            return await self._load()
        except _DamagedConfiguration as error:
            return self._defaults(error.version)

    async def _load(self, *, retry_throttling: bool = True) -> VersionedConfig:
        stored = await self._parameter.get(retry_throttling=retry_throttling)
        return await self._decode(*stored) if stored else self._defaults(0)

    async def _decode(self, text: str, version: int) -> VersionedConfig:
        try:
            with storage_errors(NOT_READ):
                document, values = await self._document.decode(text)
                digest, keys = catalogue_store.take_fields(document)
                catalogue = await self._catalogues.read(digest)
        except DamagedDocumentError:
            logger.error("the stored configuration is not a JSON object", extra={"config_version": version})  # noqa: TRY400 - a trace says no more
            raise _DamagedConfiguration(version) from None
        config, unused = usable_config(environment_values(self._environ), values, document)
        if unused.document and version != self._logged_version:
            extra = {"config_version": version, "fields": sorted(unused.document)}
            logger.warning("stored configuration fields cannot be used, and are kept", extra=extra)
            self._logged_version = version
        return VersionedConfig(config, version, unused, catalogue, keys)

    async def _save(self, changed: VersionedConfig) -> VersionedConfig:
        """Store what has changed of the configuration with this version, and return it with its new version."""
        config, unused = changed.config, changed.unused
        defaults = self._defaults(0).config.model_dump()
        values = {
            name: value
            for name, value in config.model_dump().items()
            if value != defaults[name] and name not in unused.names
        }
        kept = {**unused.document, **catalogue_store.fields(changed.catalogue, changed.keys)}
        with storage_errors("The configuration was not stored"):
            text = await self._document.encode(values, kept)
            version = await self._parameter.put(text, changed.version + 1)
        if not unused.names:
            return replace(changed, version=version)
        # A field that was not used may be usable now, because the one it depends on has changed.
        return await self._decode(text, version)


def _check_version(current: VersionedConfig, if_match: frozenset[int] | None) -> None:
    if if_match is not None and current.version not in if_match:
        raise PreconditionFailed(
            f"The configuration is now at version {current.version}: read it again and repeat the change"
        )
