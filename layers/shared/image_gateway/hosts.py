"""Host names and IP addresses, each in one canonical form, so that they can be compared."""

import ipaddress
import re

_HOST_NAME = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*")
_NUMERIC_LABEL = re.compile(r"[0-9]+|0x[0-9a-f]*")
_HOST_AND_PORT = re.compile(r"(?:\[(?P<ipv6>[0-9a-f:.]+)\]|(?P<host>[^\[\]:]+))(?::(?P<port>[0-9]{1,5}))?")
_MAX_PORT = 65_535


def canonical_host(text: str) -> str:
    """Return a host in lower case, without a trailing dot; an IPv6 address (without brackets) in its shortest form.

    Numeric hosts other than four decimal numbers are refused, because programs interpret them differently.

    Raises:
        ValueError: the text is neither a host name in ASCII nor an IP address.
    """
    host = text.lower()
    if ":" in host and "%" not in host:
        return str(ipaddress.IPv6Address(host))
    host = host.removesuffix(".")
    if not _HOST_NAME.fullmatch(host):
        raise ValueError("no valid host")
    if _NUMERIC_LABEL.fullmatch(host.rpartition(".")[2]):
        try:
            ipaddress.IPv4Address(host)
        except ValueError:
            raise ValueError("the host must be a name, or an address as four decimal numbers") from None
    return host


def host_and_port(text: str) -> tuple[str, int | None]:
    """Parse `host` or `host:port`, with an IPv6 address in brackets; the port is None if there is none.

    Raises:
        ValueError: the text has another form.
    """
    match = _HOST_AND_PORT.fullmatch(text.strip().lower())
    if match is None:
        raise ValueError("neither host nor host:port")
    host = str(ipaddress.IPv6Address(match["ipv6"])) if match["ipv6"] else canonical_host(match["host"])
    port = int(match["port"]) if match["port"] else None
    if port is not None and not 0 < port <= _MAX_PORT:
        raise ValueError("the port must be 1 to 65535")
    return host, port
