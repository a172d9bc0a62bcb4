"""Fetches of URLs: cookies, proxies and certificates."""

import asyncio
import datetime as dt
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from image_gateway.errors import InvalidUrl
from image_gateway.net.public_fetch import PublicFetcher
from tests.unit.net.fake_internet import IMAGE, FakeResolver, ImageServer


@pytest.mark.anyio
async def test_cookies_are_not_kept(fetcher: PublicFetcher, image_server: ImageServer) -> None:
    """A cookie from one fetch is not sent with the next."""
    await fetcher.fetch("http://images.example/cookie")
    await fetcher.fetch("http://images.example/image.png")
    assert "cookie" not in image_server.requests[1].headers


@pytest.mark.anyio
async def test_proxies_of_the_environment_are_not_used(
    monkeypatch: pytest.MonkeyPatch, base_url: str, port: int, image_server: ImageServer
) -> None:
    """A proxy would make the connection to an address that was not checked, so its variables are ignored."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, base_url)
    fetcher = PublicFetcher()
    with pytest.raises(InvalidUrl):
        await fetcher.fetch("http://127.0.0.1:1/image.png")
    assert image_server.requests == []
    await fetcher.aclose()


@pytest.mark.anyio
@pytest.mark.parametrize(("certificate_name", "valid"), [("images.example", True), ("other.example", False)])
async def test_the_certificate_is_checked_against_the_name(certificate_name: str, valid: bool, tmp_path: Path) -> None:
    """The certificate must be valid for the URL's name, although the connection is made to an IP address."""
    client_tls, server_tls = _certificate(certificate_name, tmp_path)

    async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(IMAGE), IMAGE))
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(respond, "127.0.0.1", 0, ssl=server_tls) as server:
        port = server.sockets[0].getsockname()[1]
        fetcher = PublicFetcher(
            ssl_context=client_tls,
            resolve=FakeResolver(images_example="127.0.0.1"),
            allowed_hosts=frozenset({"images.example"}),
        )
        url = f"https://images.example:{port}/"
        if valid:
            assert await fetcher.fetch(url) == IMAGE
        else:
            with pytest.raises(InvalidUrl, match="cannot be reached"):
                await fetcher.fetch(url)
        await fetcher.aclose()


def _certificate(name: str, folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Return a client context that trusts a new certificate for `name`, and a server context that has it."""
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
    server_tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server_tls.load_cert_chain(public, private)
    return ssl.create_default_context(cafile=public), server_tls
