"""The guard for URLs that callers give."""

import asyncio
import datetime as dt
import gzip
import ipaddress
import ssl
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from image_gateway.errors import InvalidUrl, TooLarge
from image_gateway.net.public_fetch import MAX_BYTES, PublicFetcher, is_public
from image_gateway.net.public_fetch import resolve as system_resolver

IMAGE = b"\x89PNG\r\n\x1a\n and so on"
PUBLIC = "93.184.215.14"


class ImageServer:
    """Counts what reaches it, and answers by path."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.sent = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        self.requests.append(request)
        await self._answer(request)(scope, receive, send)

    def _answer(self, request: Request) -> Response:
        path, query = request.url.path, request.query_params
        if path == "/to":
            return RedirectResponse(query["url"], status_code=int(query.get("status", "302")))
        if path == "/hops":
            left = int(query["left"])
            return RedirectResponse(f"/hops?left={left - 1}" if left else "/image.png")
        if path == "/stream":
            return StreamingResponse(self._stream(int(query["bytes"])), media_type="image/png")
        if path == "/encoded":
            headers = {"content-encoding": query["encoding"]}
            return Response(gzip.compress(bytes(int(query["bytes"]))), headers=headers)
        if path == "/cookie":
            return Response(IMAGE, headers={"set-cookie": "who=somebody; Path=/"})
        if path == "/slow":
            return StreamingResponse(self._slow())
        return Response(IMAGE if path == "/image.png" else b"secret words", 200 if path == "/image.png" else 404)

    async def _stream(self, total: int) -> AsyncIterator[bytes]:
        while self.sent < total:
            self.sent += 65_536
            yield bytes(65_536)

    async def _slow(self) -> AsyncIterator[bytes]:
        yield IMAGE
        await asyncio.sleep(30)


class Resolver:
    """Answers from a table, and remembers what it was asked. A list is answered one entry at each call."""

    def __init__(self, **names: str | list[str]) -> None:
        self.names = {name.replace("_", "."): answer for name, answer in names.items()}
        self.requested: list[str] = []

    async def __call__(self, host: str, port: int) -> Iterable[str]:
        self.requested.append(host)
        answer = self.names.get(host)
        if answer is None:
            raise OSError(f"{host}:{port} is not known")
        return [answer.pop(0)] if isinstance(answer, list) else answer.split()


class Internet(httpx.AsyncBaseTransport):
    """Stands for the internet: public addresses lead to the test server; any other goes where it really goes."""

    def __init__(self, base_url: str, unreachable: tuple[str, ...] = ()) -> None:
        self.base_url = httpx.URL(base_url)
        self.unreachable = unreachable
        self.connected: list[str] = []
        self.inner = httpx.AsyncHTTPTransport(trust_env=False)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        host = request.url.host
        self.connected.append(host)
        if host in self.unreachable:
            raise httpx.ConnectError("no route")
        if is_public(ipaddress.ip_address(host)):
            request.url = request.url.copy_with(host=self.base_url.host, port=self.base_url.port)
        return await self.inner.handle_async_request(request)

    async def aclose(self) -> None:
        await self.inner.aclose()


@pytest.fixture
def server() -> ImageServer:
    return ImageServer()


@pytest.fixture
def base_url(server: ImageServer, serve: Callable[[ASGIApp], str]) -> str:
    return serve(server)


@pytest.fixture
def port(base_url: str) -> int:
    return httpx.URL(base_url).port or 0


@pytest.fixture
def resolver(port: int) -> Resolver:
    return Resolver(images_example=PUBLIC, inside_example="127.0.0.1", localhost="127.0.0.1 ::1")


@pytest.fixture
def internet(base_url: str) -> Internet:
    return Internet(base_url)


@pytest.fixture
async def fetcher(resolver: Resolver, internet: Internet, anyio_backend: str) -> AsyncIterator[PublicFetcher]:
    fetcher = PublicFetcher(resolve=resolver, transport=internet, allowed_hosts=frozenset({"friend.example:1"}))
    yield fetcher
    await fetcher.aclose()


@pytest.mark.anyio
async def test_a_public_image_is_fetched(fetcher: PublicFetcher) -> None:
    """A URL with a public address gives its body."""
    assert await fetcher.fetch("http://images.example/image.png") == IMAGE


@pytest.mark.anyio
async def test_the_connection_goes_to_the_checked_address_under_the_name(
    fetcher: PublicFetcher, internet: Internet, server: ImageServer
) -> None:
    """The address is connected to by number while `Host` keeps the name, and nothing else about the gateway is told."""
    await fetcher.fetch(" http://Images.Example.:8080/image.png#top ")
    headers = dict(server.requests[0].headers)
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
async def test_no_spelling_of_an_inner_address_is_fetched(
    scheme: str, port: int, fetcher: PublicFetcher, internet: Internet, server: ImageServer
) -> None:
    """However an address inside is written, nothing connects, and the error names the field."""
    for host in BLOCKED_HOSTS:
        with pytest.raises(InvalidUrl) as refusal:
            await fetcher.fetch(f"{scheme}://{host}:{port}/image.png", field="image[3]")
        assert refusal.value.field == "image[3]"
        assert internet.connected == [], host
    assert server.requests == []


@pytest.mark.anyio
async def test_the_systems_own_resolver_gets_nobody_inside(port: int, server: ImageServer) -> None:
    """The same holds with real name resolution and real connections."""
    fetcher = PublicFetcher()
    for host in ("127.0.0.1", "127.1", "2130706433", "0x7f.1", "017700000001", "localhost", "localhost.", "[::1]"):
        with pytest.raises(InvalidUrl):
            await fetcher.fetch(f"http://{host}:{port}/image.png")
    assert server.requests == []
    await fetcher.aclose()


@pytest.mark.anyio
@pytest.mark.parametrize("hole", ["127.0.0.1", "127.0.0.1:{port}", " 127.0.0.1. "])
async def test_an_allowed_host_is_fetched(hole: str, port: int, server: ImageServer) -> None:
    """The operator's word opens an inner host, by name or by name and port; blank entries open nothing."""
    fetcher = PublicFetcher(allowed_hosts=frozenset({hole.format(port=port), "", " "}))
    assert await fetcher.fetch(f"http://127.0.0.1:{port}/image.png") == IMAGE
    assert len(server.requests) == 1
    await fetcher.aclose()


@pytest.mark.anyio
async def test_an_allowed_name_is_resolved_by_the_system(port: int) -> None:
    """A name in the allow-list may resolve to an inner address, whichever way its case and dots are written."""
    fetcher = PublicFetcher(allowed_hosts=frozenset({"Localhost"}))
    assert await fetcher.fetch(f"http://LOCALHOST.:{port}/image.png") == IMAGE
    await fetcher.aclose()


@pytest.mark.anyio
@pytest.mark.parametrize("hole", ["127.0.0.1:1", "example", "0.0.0.1", "[::1]"])
async def test_the_allow_list_opens_nothing_else(hole: str, port: int, server: ImageServer) -> None:
    """Another port or another host stays closed."""
    fetcher = PublicFetcher(allowed_hosts=frozenset({hole}))
    with pytest.raises(InvalidUrl):
        await fetcher.fetch(f"http://127.0.0.1:{port}/image.png")
    assert server.requests == []
    await fetcher.aclose()


@pytest.mark.parametrize("hole", ["*.example", "a b", "host:port", "127.1", "[::1"])
def test_a_malformed_allow_list_is_refused(hole: str) -> None:
    """An entry that could never match is told to the operator."""
    with pytest.raises(ValueError, match="allowed host"):
        PublicFetcher(allowed_hosts=frozenset({hole}))


@pytest.mark.anyio
async def test_an_allowed_ipv6_address_is_found_in_any_spelling(internet: Internet) -> None:
    """IPv6 addresses are compared as addresses."""
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
async def test_a_url_of_the_wrong_kind_is_refused(url: str, reason: str, fetcher: PublicFetcher) -> None:
    """Other schemes, credentials and malformed URLs are refused with the reason."""
    with pytest.raises(InvalidUrl, match=reason):
        await fetcher.fetch(url)


@pytest.mark.anyio
@pytest.mark.parametrize(
    "target",
    [
        "http://127.0.0.1:{port}/image.png",
        "//127.0.0.1:{port}/image.png",
        "http://inside.example:{port}/image.png",
        "http://2130706433:{port}/image.png",
        "http://169.254.169.254/latest/meta-data/",
        "http://[::ffff:127.0.0.1]:{port}/image.png",
        "http://me:secret@images.example/image.png",
        "file:///etc/passwd",
        "http://[::1",
    ],
)
async def test_a_redirect_is_checked_like_the_first_url(
    target: str, port: int, fetcher: PublicFetcher, internet: Internet, server: ImageServer
) -> None:
    """A public server cannot send the gateway inside."""
    statuses = [301, 302, 303, 307, 308]
    for status in statuses:
        url = httpx.URL("http://images.example/to", params={"url": target.format(port=port), "status": status})
        with pytest.raises(InvalidUrl):
            await fetcher.fetch(str(url))
    assert internet.connected == [PUBLIC] * len(statuses)
    assert [request.url.path for request in server.requests] == ["/to"] * len(statuses)


@pytest.mark.anyio
async def test_three_redirects_are_followed(fetcher: PublicFetcher, server: ImageServer) -> None:
    """Three hops, relative ones included, still lead to the image."""
    assert await fetcher.fetch("http://images.example/hops?left=2") == IMAGE
    assert len(server.requests) == 4


@pytest.mark.anyio
async def test_a_fourth_redirect_is_refused(fetcher: PublicFetcher) -> None:
    """Four hops are too many."""
    with pytest.raises(InvalidUrl, match="more than 3"):
        await fetcher.fetch("http://images.example/hops?left=3")


@pytest.mark.anyio
async def test_a_rebinding_name_is_resolved_once(
    fetcher: PublicFetcher, resolver: Resolver, internet: Internet
) -> None:
    """A name that answers an inner address at its second look-up never gets that second look-up."""
    resolver.names["rebind.example"] = [PUBLIC, "127.0.0.1"]
    assert await fetcher.fetch("http://rebind.example/image.png") == IMAGE
    assert resolver.requested == ["rebind.example"]
    assert internet.connected == [PUBLIC]


@pytest.mark.anyio
async def test_a_name_that_rebinds_at_a_redirect_is_refused(
    fetcher: PublicFetcher, resolver: Resolver, internet: Internet, server: ImageServer
) -> None:
    """Each redirect is resolved and checked anew, also to the same name."""
    resolver.names["rebind.example"] = [PUBLIC, "127.0.0.1"]
    with pytest.raises(InvalidUrl, match="no public address"):
        await fetcher.fetch("http://rebind.example/hops?left=1")
    assert internet.connected == [PUBLIC]
    assert len(server.requests) == 1


@pytest.mark.anyio
async def test_inner_addresses_among_public_ones_are_passed_over(
    fetcher: PublicFetcher, resolver: Resolver, internet: Internet
) -> None:
    """Only addresses that passed the check are connected to, the next one where the first is down."""
    internet.unreachable = ("2606:2800:220:1::1",)
    resolver.names["mixed.example"] = f"127.0.0.1 fe80::1%lo 2606:2800:220:1::1 ::1 {PUBLIC}"
    assert await fetcher.fetch("http://mixed.example/image.png") == IMAGE
    assert internet.connected == ["2606:2800:220:1::1", PUBLIC]


@pytest.mark.anyio
async def test_what_is_inside_stays_unknown(fetcher: PublicFetcher) -> None:
    """A name that resolves inside and one that does not resolve are refused in the same words, without addresses."""
    said = []
    for name in ("inside.example", "unknown.example"):
        with pytest.raises(InvalidUrl) as refusal:
            await fetcher.fetch(f"http://{name}/")
        said.append(refusal.value.detail.replace(name, "…"))
    assert said == ["… has no public address"] * 2


@pytest.mark.anyio
async def test_a_refusal_is_told_by_its_status_alone(fetcher: PublicFetcher) -> None:
    """The body of an answer that is no success stays with the gateway."""
    with pytest.raises(InvalidUrl) as refusal:
        await fetcher.fetch("http://images.example/absent")
    assert refusal.value.detail == "images.example answered 404"


@pytest.mark.anyio
async def test_a_stream_without_length_is_cut_at_the_cap(fetcher: PublicFetcher, server: ImageServer) -> None:
    """51 MB in chunks are refused at 50 MB, with the field's name."""
    with pytest.raises(TooLarge, match="50 MB") as refusal:
        await fetcher.fetch("http://images.example/stream?bytes=51000000", field="image[0]")
    assert refusal.value.field == "image[0]"


@pytest.mark.anyio
async def test_the_cap_itself_is_not_too_much(fetcher: PublicFetcher, server: ImageServer) -> None:
    """Just under 50 MB are fetched."""
    size = MAX_BYTES // 65_536 * 65_536
    assert len(await fetcher.fetch(f"http://images.example/stream?bytes={size}")) == size


@pytest.mark.anyio
async def test_an_encoding_nobody_asked_for_is_undone(fetcher: PublicFetcher) -> None:
    """A server that compresses all the same is understood."""
    assert await fetcher.fetch("http://images.example/encoded?encoding=gzip&bytes=100000") == bytes(100_000)


@pytest.mark.anyio
async def test_a_compressed_body_is_counted_after_decoding(fetcher: PublicFetcher) -> None:
    """A small body that unfolds to more than 50 MB is refused."""
    with pytest.raises(TooLarge):
        await fetcher.fetch("http://images.example/encoded?encoding=gzip&bytes=60000000")


@pytest.mark.anyio
@pytest.mark.parametrize("encoding", ["br", "gzip, gzip", "zstd"])
async def test_other_encodings_are_refused(encoding: str, fetcher: PublicFetcher) -> None:
    """Encodings that are rare, or stacked, are refused by name."""
    with pytest.raises(InvalidUrl, match=encoding):
        await fetcher.fetch(f"http://images.example/encoded?encoding={encoding}&bytes=10")


@pytest.mark.anyio
async def test_a_broken_encoding_is_refused(internet: Internet, resolver: Resolver) -> None:
    """A body that is not in the encoding it claims is refused."""
    answer = httpx.MockTransport(lambda _: httpx.Response(200, headers={"content-encoding": "gzip"}, stream=Broken()))
    with pytest.raises(InvalidUrl, match="broken content encoding"):
        await PublicFetcher(resolve=resolver, transport=answer).fetch("http://images.example/")


class Broken(httpx.AsyncByteStream):
    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b"this is not gzip"


@pytest.mark.anyio
async def test_a_slow_server_is_given_up(resolver: Resolver, internet: Internet) -> None:
    """The time cap covers the whole fetch, however the server drips."""
    fetcher = PublicFetcher(resolve=resolver, transport=internet, timeout=0.2)
    with pytest.raises(InvalidUrl, match=r"within 0\.2 s") as refusal:
        await fetcher.fetch("http://images.example/slow", field="mask")
    assert refusal.value.field == "mask"
    await fetcher.aclose()


@pytest.mark.anyio
async def test_cookies_are_not_kept(fetcher: PublicFetcher, server: ImageServer) -> None:
    """What one caller's fetch leaves behind is not sent with another's."""
    await fetcher.fetch("http://images.example/cookie")
    await fetcher.fetch("http://images.example/image.png")
    assert "cookie" not in server.requests[1].headers


@pytest.mark.anyio
async def test_proxies_of_the_environment_are_not_used(
    monkeypatch: pytest.MonkeyPatch, base_url: str, port: int, server: ImageServer
) -> None:
    """A proxy would connect for the gateway, past the check."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, base_url)
    fetcher = PublicFetcher()
    with pytest.raises(InvalidUrl):
        await fetcher.fetch("http://127.0.0.1:1/image.png")
    assert server.requests == []
    await fetcher.aclose()


@pytest.mark.anyio
@pytest.mark.parametrize(("certified", "works"), [("images.example", True), ("other.example", False)])
async def test_the_certificate_is_checked_against_the_name(certified: str, works: bool, tmp_path: Path) -> None:
    """TLS is verified for the URL's name, although the connection goes to an address."""
    trusted, greeting = _certificate(certified, tmp_path)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(IMAGE), IMAGE))
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0, ssl=greeting) as server:
        port = server.sockets[0].getsockname()[1]
        fetcher = PublicFetcher(
            ssl_context=trusted,
            resolve=Resolver(images_example="127.0.0.1"),
            allowed_hosts=frozenset({"images.example"}),
        )
        url = f"https://images.example:{port}/"
        if works:
            assert await fetcher.fetch(url) == IMAGE
        else:
            with pytest.raises(InvalidUrl, match="cannot be reached"):
                await fetcher.fetch(url)
        await fetcher.aclose()


def _certificate(name: str, folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A client context that trusts a new certificate for `name`, and the server context that shows it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    public, private = folder / "certificate.pem", folder / "key.pem"
    public.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    greeting = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    greeting.load_cert_chain(public, private)
    return ssl.create_default_context(cafile=public), greeting


@pytest.mark.anyio
async def test_the_system_resolver_answers_addresses() -> None:
    """The default resolver gives addresses as text."""
    assert "127.0.0.1" in await system_resolver("127.0.0.1", 80)
