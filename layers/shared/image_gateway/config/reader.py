"""Reading of the configuration in a process, which keeps it for a while.

Parameter Store gives an account 40 reads a second by default. So a process reads for all its jobs together, at moments
that are random within limits, and sends a throttled read again only if it has no configuration yet.
"""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable

from image_gateway.aws import Remaining, time_limit
from image_gateway.config.catalogue import Catalogue
from image_gateway.config.parameter import NOT_READ
from image_gateway.config.stored import StoredConfig
from image_gateway.config.versioned import VersionedConfig
from image_gateway.errors import StorageUnavailable
from image_gateway.settings import Settings

logger = logging.getLogger(__name__)

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


class ConfigReader:
    """Reads the configuration of one deployment.

    Args:
        stored: the configuration as it is stored.
        settings: says how long a configuration may be cached.
        clock: returns monotonic seconds.
        sleep: waits for a number of seconds.
        jitter: returns a random number from 0 to 1.
    """

    def __init__(
        self,
        stored: StoredConfig,
        settings: Settings,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._stored = stored
        self._settings = settings
        self._clock = clock
        self._sleep = sleep
        self._jitter = jitter
        self._cached: VersionedConfig | None = None
        self._fresh_until = float("-inf")
        self._reading = asyncio.Lock()
        self._reads = 0

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

    async def refresh(self) -> VersionedConfig:
        """Return the configuration as it is now, or the cached one if it cannot be read. Raises as `read`."""
        return await self._refresh(self._cached) if self._cached else await self.read()

    async def catalogue(self, digest: str) -> Catalogue:
        """Return an earlier catalogue by its hash: see `StoredConfig.catalogue`."""
        return await self._stored.catalogue(digest)

    def keep(self, current: VersionedConfig) -> VersionedConfig:
        """Use a configuration for the next reads, as if it had been read now, and return it."""
        lifetime = self._settings.config_ttl_seconds * (1 - _LIFETIME_JITTER * self._jitter())
        self._cached, self._fresh_until = current, self._clock() + lifetime
        return current

    async def _first_read(self, remaining: Remaining) -> VersionedConfig:
        """Read the configuration, and again after pauses with jitter while that fails temporarily and time is left."""
        longest_pause = _FIRST_PAUSE_SECONDS
        async with time_limit(max(remaining(), _MIN_READ_SECONDS), NOT_READ), self._reading:
            # Several jobs of a worker start at once: one of them reads.
            while self._cached is None:
                try:
                    return self.keep(await self._stored.load_or_defaults(retry_throttling=False))
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
                    return self.keep(await self._stored.load(retry_throttling=False))
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
