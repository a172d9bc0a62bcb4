"""Fetches images from URLs that callers give, and from where engines' answers point: public addresses only.

A name is resolved once per request, its addresses are checked, and the connection goes to one that passed, by number:
a DNS answer that changes afterwards changes nothing. The `Host` header and the certificate check stay on the name. Any
port is allowed: all that can be sent is a GET without credentials, and image servers do live on unusual ports.
"""

import asyncio
import ipaddress
import re
import socket
import ssl
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from urllib.parse import urlsplit

import httpx

from image_gateway.errors import InvalidUrl, TooLarge
from image_gateway.net.transport import Transport, no_cookies

MAX_BYTES = 50_000_000
"""Longest image in bytes."""

MAX_REDIRECTS = 3

Resolver = Callable[[str, int], Awaitable[Iterable[str]]]
"""Turns a host name and a port into IP addresses, in order of preference; raises `OSError` where there are none."""

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_MAX_ADDRESSES = 4
_CONNECT_SECONDS = 5.0
_HOST = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")

# What IANA's special-purpose registry does not call globally reachable, multicast, and the retired 6to4 relay anycast.
_BLOCKED_V4 = tuple(
    ipaddress.IPv4Network(network)
    for networks in (
        ("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24"),
        ("192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24"),
        ("224.0.0.0/4", "240.0.0.0/4"),
    )
    for network in networks
)
# Only global unicast counts as public: that leaves out loopback, unique local (with fd00:ec2::254), link-local,
# site-local, multicast, and IPv4-mapped, IPv4-compatible and NAT64 addresses. Within it Teredo (in 2001::/23) and 6to4
# go wholly, like those: they all carry an IPv4 address that a server of public images also has under its own form.
_GLOBAL_V6 = ipaddress.IPv6Network("2000::/3")
_BLOCKED_V6 = tuple(map(ipaddress.IPv6Network, ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")))


def is_public(address: Address) -> bool:
    """Tell whether `address` is one that anybody on the internet could reach."""
    if isinstance(address, ipaddress.IPv4Address):
        return not any(address in network for network in _BLOCKED_V4)
    return address in _GLOBAL_V6 and not any(address in network for network in _BLOCKED_V6)


async def resolve(host: str, port: int) -> list[str]:
    """Ask the operating system's resolver."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(entry[4][0]) for entry in found]


class PublicTransport(httpx.AsyncBaseTransport):
    """Passes requests on to `inner`, with the URL's host replaced by an address that was checked.

    Raises:
        InvalidUrl: the host is malformed or has no public address.
    """

    def __init__(self, inner: httpx.AsyncBaseTransport, resolve: Resolver, allowed_hosts: Iterable[str]) -> None:
        self._inner = inner
        self._resolve = resolve
        self._allowed = {_host_and_port(entry) for entry in allowed_hosts if entry.strip()}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send `request` to the first of its host's addresses that takes the connection."""
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
        raise failure or InvalidUrl(f"{host} has no public address")

    async def _addresses(self, host: str, url: httpx.URL) -> list[Address]:
        port = url.port or (443 if url.scheme == "https" else 80)
        try:
            found: list[Address] = [ipaddress.ip_address(host)]
        except ValueError:
            try:
                # An address with a zone id is link-local: never public, and not for an allow-list either.
                texts = [text for text in await self._resolve(host, port) if "%" not in text]
            except (OSError, UnicodeError):
                texts = []
            found = [ipaddress.ip_address(text) for text in dict.fromkeys(texts)]
        if (host, None) not in self._allowed and (host, port) not in self._allowed:
            found = [address for address in found if is_public(address)]
        return found[:_MAX_ADDRESSES]

    async def aclose(self) -> None:
        """Close the connections."""
        await self._inner.aclose()


class PublicFetcher:
    """Fetches by http(s), under caps on bytes, redirects and time. Made once per process; keeps no cookies.

    Args:
        ssl_context: shared with the engines' client; None makes one.
        allowed_hosts: the operator's `host` or `host:port` (IPv6 in brackets) entries, which may have any address.
        max_bytes: longest body, also after its content encoding is undone.
        timeout: seconds for one fetch in all, redirects included.
        resolve: turns names into addresses.
        transport: connects to the addresses that passed; None makes one.

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
        # A connection kept alive belongs to an address, and would serve another name without a look at its certificate.
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
        """Return the body that `url` answers with.

        Args:
            url: as the caller or the engine gave it.
            field: the form field that holds it, for the error.

        Raises:
            InvalidUrl: malformed, not allowed, unreachable, too slow, or answered with anything but a 2xx.
            TooLarge: the body is over `max_bytes`.
        """
        try:
            async with asyncio.timeout(self._timeout):
                return await self._follow(_parse(url))
        except TimeoutError:
            raise InvalidUrl(f"The URL did not deliver within {self._timeout:g} s", field=field) from None
        except httpx.HTTPError:
            raise InvalidUrl("The URL's server cannot be reached, or broke off", field=field) from None
        # httpx reads a redirect's target before `_follow` does, and a host that only looks like IDNA when it is told.
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
            raise InvalidUrl(f"{response.url.host} answered {response.status_code}")
        body = bytearray()
        async for chunk in _decoded(response, self._max_bytes):
            body += chunk
            if len(body) > self._max_bytes:
                raise TooLarge(f"{response.url.host} answered more than {self._max_bytes / 1_000_000:g} MB")
        return bytes(body)


async def _decoded(response: httpx.Response, limit: int) -> AsyncIterator[bytes]:
    """The body in pieces of at most `limit` + 1 bytes, with a gzip or deflate encoding undone that nobody asked for."""
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("identity", "gzip", "x-gzip", "deflate"):
        raise InvalidUrl(
            f"{response.url.host} answered with content encoding {encoding[:40]!r}, which was not asked for"
        )
    decoder = None if encoding == "identity" else zlib.decompressobj(zlib.MAX_WBITS | 32)
    async for chunk in response.aiter_raw():
        try:
            yield decoder.decompress(chunk, limit + 1) if decoder else chunk
        except zlib.error:
            raise InvalidUrl(f"{response.url.host} answered with a broken content encoding") from None


def _parse(text: str, base: httpx.URL | None = None) -> httpx.URL:
    """Read a URL, or a redirect's target relative to `base`, and check all that needs no network."""
    try:
        url = base.join(text) if base else httpx.URL(text.strip())
    except (httpx.InvalidURL, ValueError, UnicodeError):
        raise InvalidUrl("The URL is malformed") from None
    if url.scheme not in ("http", "https"):
        raise InvalidUrl("Only http:// and https:// URLs are fetched")
    if url.userinfo:
        raise InvalidUrl("The URL must not hold credentials")
    if url.port is not None and not 0 < url.port < 65_536:
        raise InvalidUrl("The URL's port must be 1 to 65535")
    return url.copy_with(host=_host(url))


def _host(url: httpx.URL) -> str:
    """The host in its one spelling: lower case, IDNA, without a trailing dot.

    Numbers other than four decimal ones are refused, as they are read differently from program to program.
    """
    host = url.raw_host.decode("ascii").lower()
    if ":" in host and "%" not in host:
        return str(ipaddress.IPv6Address(host))
    host = host.removesuffix(".")
    if not _HOST.fullmatch(host):
        raise InvalidUrl("The URL has no valid host")
    if _NUMBER.fullmatch(host.rpartition(".")[2]):
        try:
            ipaddress.IPv4Address(host)
        except ValueError:
            raise InvalidUrl("The URL's host must be a name, or an address as four decimal numbers") from None
    return host


def _host_and_port(entry: str) -> tuple[str, int | None]:
    try:
        parts = urlsplit(f"//{entry.strip()}")
        return _host(httpx.URL(scheme="http", host=parts.hostname or "")), parts.port
    except (ValueError, httpx.InvalidURL, InvalidUrl):
        raise ValueError(f"not an allowed host, host or host:port: {entry!r}") from None
