"""Fetches images from URLs of callers and of engines' responses, from public addresses only.

A name is resolved once per request, its addresses are checked, and the connection is made to a checked IP address: a
later change of the DNS record has no effect. The `Host` header and the certificate check use the name. Any port is
allowed, because only a GET without credentials can be sent, and some image servers use unusual ports.
"""

import asyncio
import ipaddress
import socket
import ssl
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

import httpx

from image_gateway.errors import InvalidUrl, PrivateAddress, TooLarge, UnreachableUrl, UnresolvedHost
from image_gateway.hosts import canonical_host, host_and_port
from image_gateway.net.transport import Transport, no_cookies

MAX_BYTES = 50_000_000
"""Largest image in bytes."""

MAX_REDIRECTS = 3

Resolver = Callable[[str, int], Awaitable[Iterable[str]]]
"""Resolves a host name and a port to IP addresses, in order of preference; raises `OSError`, as `getaddrinfo` does."""

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_MAX_ADDRESSES = 4
_CONNECT_SECONDS = 5.0
_RESOLVER_SECONDS = 5.0
"""After how many seconds to ask a resolver again that failed."""
_NO_SUCH_NAME = frozenset(
    getattr(socket, name) for name in ("EAI_NONAME", "EAI_NODATA", "EAI_ADDRFAMILY") if hasattr(socket, name)
)
_MAY_PASS = frozenset({408, 425, 429})
"""Statuses below 500 that another request may not get."""

# The networks that IANA's special-purpose registry lists as not globally reachable, multicast, and the retired anycast
# network of 6to4 relays.
_BLOCKED_V4 = tuple(
    ipaddress.IPv4Network(network)
    for networks in (
        ("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24"),
        ("192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24"),
        ("224.0.0.0/4", "240.0.0.0/4"),
    )
    for network in networks
)
# Only global unicast is public. This excludes loopback, unique local (with fd00:ec2::254), link-local, site-local,
# multicast, IPv4-mapped, IPv4-compatible and NAT64 addresses. Teredo (in 2001::/23) and 6to4 are blocked completely.
# Like the last three, they embed an IPv4 address, and a public image server is reachable at that address directly.
_GLOBAL_V6 = ipaddress.IPv6Network("2000::/3")
_BLOCKED_V6 = tuple(map(ipaddress.IPv6Network, ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")))


def is_public(address: Address) -> bool:
    """Return whether `address` is reachable from the public internet."""
    if isinstance(address, ipaddress.IPv4Address):
        return not any(address in network for network in _BLOCKED_V4)
    return address in _GLOBAL_V6 and not any(address in network for network in _BLOCKED_V6)


async def resolve(host: str, port: int) -> list[str]:
    """Resolve a host name with the operating system's resolver."""
    entries = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(entry[4][0]) for entry in entries]


class PublicTransport(httpx.AsyncBaseTransport):
    """Sends requests through `inner`, with the URL's host replaced by a checked address.

    Raises:
        InvalidUrl: the host is malformed.
        PrivateAddress: the host has no public address.
        UnresolvedHost: the resolver failed.
    """

    def __init__(self, inner: httpx.AsyncBaseTransport, resolve: Resolver, allowed_hosts: Iterable[str]) -> None:
        self._inner = inner
        self._resolve = resolve
        self._allowed = {_allowed_host(entry) for entry in allowed_hosts if entry.strip()}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send `request` to the first address of its host that accepts the connection."""
        host = _host(request.url)
        failure: httpx.TransportError | None = None
        for address in await self._addresses(host, request.url):
            pinned = httpx.Request(
                request.method,
                request.url.copy_with(host=str(address)),
                headers=request.headers,
                stream=request.stream,
                extensions={**request.extensions, "sni_hostname": host},
            )
            try:
                return await self._inner.handle_async_request(pinned)
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                failure = error
        raise failure or PrivateAddress(f"{host} has no public address")

    async def _addresses(self, host: str, url: httpx.URL) -> list[Address]:
        port = url.port or (443 if url.scheme == "https" else 80)
        try:
            addresses: list[Address] = [ipaddress.ip_address(host)]
        except ValueError:
            try:
                # An address with a zone id is link-local: never public, and not permitted for an allowed host either.
                texts = [text for text in await self._resolve(host, port) if "%" not in text]
            except UnicodeError:  # no name of a host (IDNA)
                texts = []
            except OSError as error:
                # A name that does not exist has the same error as one with a private address, so that nobody can find
                # out which names a private network has.
                if error.errno not in _NO_SUCH_NAME:
                    detail = f"{host} could not be resolved at the moment: try again later"
                    raise UnresolvedHost(detail, retry_after=_RESOLVER_SECONDS) from None
                texts = []
            addresses = [ipaddress.ip_address(text) for text in dict.fromkeys(texts)]
        if (host, None) not in self._allowed and (host, port) not in self._allowed:
            addresses = [address for address in addresses if is_public(address)]
        return addresses[:_MAX_ADDRESSES]

    async def aclose(self) -> None:
        """Close the connections."""
        await self._inner.aclose()


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
    return url.copy_with(host=_host(url))


def _host(url: httpx.URL) -> str:
    """Return the host in canonical form, after IDNA."""
    try:
        return canonical_host(url.raw_host.decode("ascii"))
    except ValueError as error:
        raise InvalidUrl(f"The URL cannot be used: {error}") from None


def _allowed_host(entry: str) -> tuple[str, int | None]:
    try:
        return host_and_port(entry)
    except ValueError as error:
        raise ValueError(f"not an allowed host, host or host:port: {entry!r}: {error}") from None
