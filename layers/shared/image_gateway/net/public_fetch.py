"""Fetches images from URLs of callers and of engines' responses, which lead to public addresses only."""

import asyncio
import ssl
import zlib
from collections.abc import AsyncIterator

import httpx

from image_gateway.errors import InvalidUrl, TooLarge, UnreachableUrl
from image_gateway.net.public_addresses import PublicTransport, Resolver, host_of, resolve
from image_gateway.net.transport import Transport, no_cookies

MAX_BYTES = 50_000_000
"""Largest image in bytes."""

MAX_REDIRECTS = 3

_CONNECT_SECONDS = 5.0
_MAY_PASS = frozenset({408, 425, 429})
"""Statuses below 500 that another request may not get."""


class PublicFetcher:
    """Fetches http(s) URLs, with limits on bytes, redirects and time. Created once per process; keeps no cookies.

    Args:
        ssl_context: shared with the engines' client; by default a new one.
        allowed_hosts: the operator's entries `host` or `host:port` (IPv6 in brackets), which may have any address.
        max_bytes: longest body, also after its content encoding is decoded.
        timeout: seconds for a fetch, redirects included.
        resolve: resolves names to addresses.
        transport: connects to checked addresses; by default a new one.

    Raises:
        ValueError: an entry of `allowed_hosts` is malformed.
    """

    def __init__(
        self,
        *,
        ssl_context: ssl.SSLContext | None = None,
        allowed_hosts: frozenset[str] = frozenset(),
        max_bytes: int = MAX_BYTES,
        timeout: float = 20.0,
        resolve: Resolver = resolve,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        # Connections are not reused: an idle connection to an address could serve another name, whose certificate would
        # not be checked.
        inner = transport or Transport(ssl_context or ssl.create_default_context(), idle_seconds=0)
        self._max_bytes = max_bytes
        self._timeout = timeout
        self._client = httpx.AsyncClient(
            transport=PublicTransport(inner, resolve, allowed_hosts),
            trust_env=False,
            cookies=no_cookies(),
            headers={"accept": "image/*", "accept-encoding": "identity", "user-agent": "image-gateway"},
            timeout=httpx.Timeout(None, connect=_CONNECT_SECONDS),
        )

    async def fetch(self, url: str, *, field: str | None = None) -> bytes:
        """Return the body of the response to a GET of `url`.

        Args:
            url: the URL from the caller or the engine.
            field: the form field with the URL, for the error.

        Raises:
            InvalidUrl: the URL is malformed or not allowed, or the status is not 2xx.
            UnresolvedHost: the resolver failed.
            UnreachableUrl: the server is unreachable or too slow, or the status may be another one later.
            TooLarge: the body is longer than `max_bytes`.
        """
        try:
            async with asyncio.timeout(self._timeout):
                return await self._follow(_parse(url))
        except TimeoutError:
            raise UnreachableUrl(f"The URL's server did not respond within {self._timeout:g} s", field=field) from None
        except httpx.HTTPError:
            raise UnreachableUrl("The URL's server cannot be reached, or closed the connection", field=field) from None
        # httpx parses a redirect's target before `_follow` does, and it decodes IDNA hosts only when they are used.
        except (httpx.InvalidURL, UnicodeError):
            raise InvalidUrl("The URL is malformed, or redirects to one that is", field=field) from None
        except (InvalidUrl, TooLarge) as error:
            error.field = field
            raise

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _follow(self, url: httpx.URL) -> bytes:
        for _ in range(MAX_REDIRECTS + 1):
            async with self._client.stream("GET", url, follow_redirects=False) as response:
                if not response.has_redirect_location:
                    return await self._read(response)
                url = _parse(response.headers["location"], base=url)
        raise InvalidUrl(f"The URL redirects more than {MAX_REDIRECTS} times")

    async def _read(self, response: httpx.Response) -> bytes:
        if not response.is_success:
            may_pass = response.status_code >= 500 or response.status_code in _MAY_PASS
            failure = UnreachableUrl if may_pass else InvalidUrl
            raise failure(f"{response.url.host} answered {response.status_code}")
        body = bytearray()
        async for chunk in _decoded(response, self._max_bytes):
            body += chunk
            if len(body) > self._max_bytes:
                raise TooLarge(f"The response of {response.url.host} is larger than {self._max_bytes / 1_000_000:g} MB")
        return bytes(body)


async def _decoded(response: httpx.Response, limit: int) -> AsyncIterator[bytes]:
    """Yield the body in chunks of at most `limit` + 1 bytes. Decode gzip and deflate, although neither is requested."""
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("identity", "gzip", "x-gzip", "deflate"):
        raise InvalidUrl(
            f"{response.url.host} responded with content encoding {encoding[:40]!r}, which was not requested"
        )
    decoder = None if encoding == "identity" else zlib.decompressobj(zlib.MAX_WBITS | 32)
    async for chunk in response.aiter_raw():
        try:
            yield decoder.decompress(chunk, limit + 1) if decoder else chunk
        except zlib.error:
            raise InvalidUrl(f"{response.url.host} responded with a broken content encoding") from None


def _parse(text: str, base: httpx.URL | None = None) -> httpx.URL:
    """Parse a URL, or a redirect's target relative to `base`, and make all checks that need no network."""
    try:
        url = base.join(text) if base else httpx.URL(text.strip())
    except (httpx.InvalidURL, ValueError, UnicodeError):
        raise InvalidUrl("The URL is malformed") from None
    if url.scheme not in ("http", "https"):
        raise InvalidUrl("Only http:// and https:// URLs are fetched")
    if url.userinfo:
        raise InvalidUrl("The URL must not contain credentials")
    if url.port is not None and not 0 < url.port < 65_536:
        raise InvalidUrl("The URL's port must be 1 to 65535")
    return url.copy_with(host=host_of(url))
