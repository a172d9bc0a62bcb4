"""The guard for URLs of callers: only public addresses and allowed hosts are fetched."""

import pytest

from image_gateway.errors import InvalidUrl, PrivateAddress, UnresolvedHost
from image_gateway.net.public_addresses import resolve as system_resolver
from image_gateway.net.public_fetch import PublicFetcher
from tests.unit.net.fake_internet import IMAGE, PUBLIC, FakeInternet, FakeResolver, ImageServer


@pytest.mark.anyio
async def test_a_public_image_is_fetched(fetcher: PublicFetcher) -> None:
    """A fetch of a URL with a public address returns the body."""
    assert await fetcher.fetch("http://images.example/image.png") == IMAGE


@pytest.mark.anyio
async def test_a_request_goes_to_the_checked_address_with_the_name_as_host(
    fetcher: PublicFetcher, internet: FakeInternet, image_server: ImageServer
) -> None:
    """The connection is made to the IP address, `Host` is the name, and no other headers are sent than necessary."""
    await fetcher.fetch(" http://Images.Example.:8080/image.png#top ")
    headers = dict(image_server.requests[0].headers)
    assert internet.connected == [PUBLIC]
    assert headers.pop("host") == "images.example:8080"
    assert headers == {
        "accept": "image/*",
        "accept-encoding": "identity",
        "connection": "keep-alive",
        "user-agent": "image-gateway",
    }


BLOCKED_HOSTS = [
    "127.0.0.1",
    "127.0.0.1.",
    "127.1",
    "127.255.255.254",
    "0.0.0.0",  # noqa: S104 - refused, not bound to
    "0",
    "2130706433",
    "0x7f000001",
    "0x7f.1",
    "0x7F.0.0.0x1",
    "017700000001",
    "0177.0.0.1",
    "127.0.0.01",
    "127.0.0.1..",
    "127。0。0。1",
    "\uff11\uff12\uff17.0.0.1",
    "①②⑦.⓪.⓪.①",
    "localhost",
    "localhost.",
    "LOCALHOST",
    "ⓛocalhost",
    "inside.example",
    "INSIDE.example.",
    "unknown.example",
    "10.0.0.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "169.254.169.254",
    "169.254.170.2",
    "100.64.0.1",
    "100.127.255.255",
    "192.0.0.192",
    "198.18.0.1",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "[::]",
    "[::1]",
    "[0:0:0:0:0:0:0:1]",
    "[::127.0.0.1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::ffff:0:127.0.0.1]",
    "[64:ff9b::127.0.0.1]",
    "[64:ff9b:1::7f00:1]",
    "[2002:7f00:1::]",
    "[2001:0:7f00:1::]",
    "[2001:0:0:0:0:0:80ff:fffe]",
    "[2001:db8::1]",
    "[100::1]",
    "[fc00::1]",
    "[fd00:ec2::254]",
    "[fe80::1]",
    "[fe80::1%25lo]",
    "[fe80::1%lo]",
    "[2606:2800:220:1::1%25lo]",
    "[fec0::1]",
    "[ff02::1]",
    "127.0.0.1%00",
    "127.0.0.1%2f",
    "a..b",
    "",
]


@pytest.mark.anyio
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_no_form_of_a_private_address_is_fetched(
    scheme: str, port: int, fetcher: PublicFetcher, internet: FakeInternet, image_server: ImageServer
) -> None:
    """However a private address is written, no connection is made, and the error names the field."""
    for host in BLOCKED_HOSTS:
        with pytest.raises(InvalidUrl) as caught:
            await fetcher.fetch(f"{scheme}://{host}:{port}/image.png", field="image[3]")
        assert caught.value.field == "image[3]"
        assert internet.connected == [], host
    assert image_server.requests == []


@pytest.mark.anyio
async def test_private_addresses_are_refused_with_the_systems_resolver(port: int, image_server: ImageServer) -> None:
    """Private addresses are also refused with real name resolution and real connections."""
    fetcher = PublicFetcher()
    for host in ("127.0.0.1", "127.1", "2130706433", "0x7f.1", "017700000001", "localhost", "localhost.", "[::1]"):
        with pytest.raises(InvalidUrl):
            await fetcher.fetch(f"http://{host}:{port}/image.png")
    assert image_server.requests == []
    await fetcher.aclose()


@pytest.mark.anyio
async def test_a_failure_of_the_resolver_is_not_a_private_address(fetcher: PublicFetcher) -> None:
    """The error says that another request may succeed."""
    with pytest.raises(UnresolvedHost, match=r"failing\.example could not be resolved at the moment") as unresolved:
        await fetcher.fetch("http://failing.example/image.png", field="image")
    with pytest.raises(PrivateAddress, match="has no public address") as private:
        await fetcher.fetch("http://inside.example/image.png", field="image")

    assert (unresolved.value.field, unresolved.value.code, unresolved.value.should_retry) == (
        "image",
        "invalid_url",
        True,
    )
    assert unresolved.value.retry_after
    assert not private.value.should_retry


@pytest.mark.anyio
@pytest.mark.parametrize("entry", ["127.0.0.1", "127.0.0.1:{port}", " 127.0.0.1. "])
async def test_an_allowed_host_is_fetched(entry: str, port: int, image_server: ImageServer) -> None:
    """An allowed private host is fetched, by address or by address and port; blank entries are ignored."""
    fetcher = PublicFetcher(allowed_hosts=frozenset({entry.format(port=port), "", " "}))
    assert await fetcher.fetch(f"http://127.0.0.1:{port}/image.png") == IMAGE
    assert len(image_server.requests) == 1
    await fetcher.aclose()


@pytest.mark.anyio
async def test_an_allowed_name_may_have_a_private_address(port: int) -> None:
    """An allowed name may resolve to a private address, in any case and with or without a trailing dot."""
    fetcher = PublicFetcher(allowed_hosts=frozenset({"Localhost"}))
    assert await fetcher.fetch(f"http://LOCALHOST.:{port}/image.png") == IMAGE
    await fetcher.aclose()


@pytest.mark.anyio
@pytest.mark.parametrize("entry", ["127.0.0.1:1", "example", "0.0.0.1", "[::1]"])
async def test_other_ports_and_hosts_are_not_allowed(entry: str, port: int, image_server: ImageServer) -> None:
    """An entry allows neither another port nor another host."""
    fetcher = PublicFetcher(allowed_hosts=frozenset({entry}))
    with pytest.raises(InvalidUrl):
        await fetcher.fetch(f"http://127.0.0.1:{port}/image.png")
    assert image_server.requests == []
    await fetcher.aclose()


@pytest.mark.parametrize("entry", ["*.example", "a b", "host:port", "127.1", "[::1"])
def test_a_malformed_allowed_host_is_an_error(entry: str) -> None:
    """An entry that could never match is an error for the operator."""
    with pytest.raises(ValueError, match="allowed host"):
        PublicFetcher(allowed_hosts=frozenset({entry}))


@pytest.mark.anyio
async def test_an_allowed_ipv6_address_matches_every_form_of_it(internet: FakeInternet) -> None:
    """IPv6 addresses are compared as addresses, not as strings."""
    internet.unreachable = ("::1",)
    fetcher = PublicFetcher(allowed_hosts=frozenset({"[::1]:80"}), transport=internet)
    with pytest.raises(InvalidUrl, match="cannot be reached"):
        await fetcher.fetch("http://[0:0:0:0:0:0:0:1]/")
    assert internet.connected == ["::1"]


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("ftp://images.example/image.png", "http:// and https://"),
        ("file:///etc/passwd", "http:// and https://"),
        ("//images.example/image.png", "http:// and https://"),
        ("image.png", "http:// and https://"),
        ("http://me:secret@images.example/image.png", "credentials"),
        ("http://me@images.example/image.png", "credentials"),
        ("http://images.example\\@127.0.0.1/", "credentials"),
        ("http://images.example:0/", "port"),
        ("http://images.example:99999/", "port"),
        ("http://images.example:port/", "malformed"),
        ("http://images.example/\x00", "malformed"),
        ("http://[::1/", "malformed"),
        ("http://images example/", "host"),
        ("http://" + "a" * 70_000, "malformed"),
    ],
)
async def test_an_invalid_url_is_refused(url: str, reason: str, fetcher: PublicFetcher) -> None:
    """Other schemes, credentials, ports out of range and malformed URLs are refused with the reason."""
    with pytest.raises(InvalidUrl, match=reason):
        await fetcher.fetch(url)


@pytest.mark.anyio
async def test_private_addresses_of_a_name_are_skipped(
    fetcher: PublicFetcher, resolver: FakeResolver, internet: FakeInternet
) -> None:
    """Connections are made only to public addresses of a name, to the next one if the first is unreachable."""
    internet.unreachable = ("2606:2800:220:1::1",)
    resolver.names["mixed.example"] = f"127.0.0.1 fe80::1%lo 2606:2800:220:1::1 ::1 {PUBLIC}"
    assert await fetcher.fetch("http://mixed.example/image.png") == IMAGE
    assert internet.connected == ["2606:2800:220:1::1", PUBLIC]


@pytest.mark.anyio
async def test_private_and_unknown_names_have_the_same_error(fetcher: PublicFetcher) -> None:
    """The errors for a name with a private address and for an unknown name are the same, and show no addresses."""
    details = []
    for name in ("inside.example", "unknown.example"):
        with pytest.raises(InvalidUrl) as caught:
            await fetcher.fetch(f"http://{name}/")
        details.append(caught.value.detail.replace(name, "…"))
    assert details == ["… has no public address"] * 2


@pytest.mark.anyio
async def test_the_systems_resolver_returns_addresses() -> None:
    """The default resolver returns addresses as strings."""
    assert "127.0.0.1" in await system_resolver("127.0.0.1", 80)
