"""Connections to public addresses only, whatever host a URL names.

A name is resolved once per request, its addresses are checked, and the connection is made to a checked IP address: a
later change of the DNS record has no effect. The `Host` header and the certificate check use the name. Any port is
allowed, because only a GET without credentials can be sent, and some image servers use unusual ports.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Iterable

import httpx

from image_gateway.errors import InvalidUrl, PrivateAddress, UnresolvedHost
from image_gateway.hosts import canonical_host, host_and_port

Resolver = Callable[[str, int], Awaitable[Iterable[str]]]
"""Resolves a host name and a port to IP addresses, in order of preference; raises `OSError`, as `getaddrinfo` does."""

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_MAX_ADDRESSES = 4
_RESOLVER_SECONDS = 5.0
"""After how many seconds to ask a resolver again that failed."""
_NO_SUCH_NAME = frozenset(
    getattr(socket, name) for name in ("EAI_NONAME", "EAI_NODATA", "EAI_ADDRFAMILY") if hasattr(socket, name)
)

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
        host = host_of(request.url)
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


def host_of(url: httpx.URL) -> str:
    """Return the host of a URL in canonical form, after IDNA.

    Raises:
        InvalidUrl: there is none, or it is malformed.
    """
    try:
        return canonical_host(url.raw_host.decode("ascii"))
    except ValueError as error:
        raise InvalidUrl(f"The URL cannot be used: {error}") from None


def _allowed_host(entry: str) -> tuple[str, int | None]:
    try:
        return host_and_port(entry)
    except ValueError as error:
        raise ValueError(f"not an allowed host, host or host:port: {entry!r}: {error}") from None
