"""Engines for single requests, and the connections of a process to everything that is not AWS."""

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import replace
from functools import cache, cached_property
from typing import TYPE_CHECKING

import httpx

from image_gateway.config.fallbacks import with_edit_fallbacks
from image_gateway.config.timeouts import REWRITE_TIMEOUT_SECONDS
from image_gateway.engines import Connection, Engine, PromptWriter, create_engine, create_prompt_writer
from image_gateway.engines.protocol import ImageConversion, InputImage
from image_gateway.models.config import ImagesConfig
from image_gateway.models.fields import Size
from image_gateway.net.transport import Transport, no_cookies
from image_gateway.routing.destination import Destination

if TYPE_CHECKING:
    from image_gateway.images.decoding.decoder import Decoder
    from image_gateway.net.public_fetch import PublicFetcher


class Engines:
    """Creates engines, and fetches links. All use the same connections.

    Args:
        fetch_allowed_hosts: hosts of links that may be fetched although their addresses are not public.
        decoder: returns what decodes images that an engine needs converted.
    """

    def __init__(self, fetch_allowed_hosts: frozenset[str], decoder: Callable[[], "Decoder"]) -> None:
        self._fetch_allowed_hosts = fetch_allowed_hosts
        self._decoder = decoder

    def at(self, destination: Destination) -> Engine:
        """Create the engine of a destination for one request."""
        config, edit = destination.config, destination.edit
        config = with_edit_fallbacks(config) if edit else config
        connection = replace(self._connection(config), repeats=destination.repeats)
        return create_engine(destination.engine, config, connection, edit=edit)

    def create(self, name: str, config: ImagesConfig, *, edit: bool = False, timeout: float | None = None) -> Engine:
        """Create an engine for one request.

        Args:
            name: the engine.
            config: the configuration to use.
            edit: whether the request is an edit.
            timeout: seconds; shortens the configured timeout.
        """
        config = with_edit_fallbacks(config) if edit else config
        return create_engine(name, config, self._connection(config, timeout), edit=edit)

    def prompt_writer(self, name: str, config: ImagesConfig) -> PromptWriter:
        """Create the engine that rewrites prompts while `name` is the configured engine."""
        return create_prompt_writer(name, config, self._connection(config, REWRITE_TIMEOUT_SECONDS))

    async def fetch(self, url: str, *, field: str | None = None) -> bytes:
        """Fetch a link. Only now is the fetcher created, so that its settings can stop nothing else."""
        return await self._fetcher.fetch(url, field=field)

    async def aclose(self) -> None:
        """Close all open connections."""
        if "_client" in self.__dict__:
            await self._client.aclose()
        if "_fetcher" in self.__dict__:
            await self._fetcher.aclose()

    def _connection(self, config: ImagesConfig, timeout: float | None = None) -> Connection:
        return Connection(
            client=self._client,
            fetch=self.fetch,
            timeout=min(timeout or config.IMAGE_ENGINE_TIMEOUT, config.IMAGE_ENGINE_TIMEOUT),
            secrets=tuple(config.secrets()),
            sleep=asyncio.sleep,
            convert_image=self._convert_image,
        )

    @cached_property
    def _client(self) -> httpx.AsyncClient:
        # Node and uvicorn close connections that were idle for 5 s. A request sent at that moment is lost, and may have
        # been paid for.
        transport = Transport(tls_context(), idle_seconds=2)
        return httpx.AsyncClient(transport=transport, trust_env=False, follow_redirects=False, cookies=no_cookies())

    @cached_property
    def _fetcher(self) -> "PublicFetcher":
        from image_gateway.net.public_fetch import PublicFetcher

        return PublicFetcher(ssl_context=tls_context(), allowed_hosts=self._fetch_allowed_hosts)

    async def _convert_image(
        self, conversion: ImageConversion, *images: InputImage, size: Size | None = None
    ) -> InputImage:
        return await self._decoder().convert_image(conversion, *images, size=size)


@cache
def tls_context() -> ssl.SSLContext:
    """Return the process's TLS context. It is shared: loading the CAs is the most expensive part of a client."""
    return ssl.create_default_context()
