"""Fetches of URLs: limits, encodings and errors of responses."""

from collections.abc import AsyncIterator

import httpx
import pytest

from image_gateway.errors import InvalidUrl, TooLarge
from image_gateway.net.public_fetch import MAX_BYTES, PublicFetcher
from tests.unit.net.fake_internet import FakeInternet, FakeResolver, ImageServer


@pytest.mark.anyio
async def test_the_body_of_an_error_response_is_not_shown(fetcher: PublicFetcher) -> None:
    """The error for a status other than 2xx contains the status, and not the body."""
    with pytest.raises(InvalidUrl) as caught:
        await fetcher.fetch("http://images.example/absent")
    assert caught.value.detail == "images.example answered 404"


@pytest.mark.anyio
async def test_a_response_over_the_limit_is_refused(fetcher: PublicFetcher, image_server: ImageServer) -> None:
    """A chunked response of 51 MB is refused at 50 MB, and the error names the field."""
    with pytest.raises(TooLarge, match="50 MB") as caught:
        await fetcher.fetch("http://images.example/stream?bytes=51000000", field="image[0]")
    assert caught.value.field == "image[0]"


@pytest.mark.anyio
async def test_a_response_within_the_limit_is_fetched(fetcher: PublicFetcher, image_server: ImageServer) -> None:
    """A response of just under 50 MB is fetched."""
    size = MAX_BYTES // 65_536 * 65_536
    assert len(await fetcher.fetch(f"http://images.example/stream?bytes={size}")) == size


@pytest.mark.anyio
async def test_a_compressed_response_is_decoded(fetcher: PublicFetcher) -> None:
    """A response that is compressed although the request excludes it is decoded."""
    assert await fetcher.fetch("http://images.example/encoded?encoding=gzip&bytes=100000") == bytes(100_000)


@pytest.mark.anyio
async def test_the_limit_holds_after_decoding(fetcher: PublicFetcher) -> None:
    """A small compressed body that decodes to more than 50 MB is refused."""
    with pytest.raises(TooLarge):
        await fetcher.fetch("http://images.example/encoded?encoding=gzip&bytes=60000000")


@pytest.mark.anyio
@pytest.mark.parametrize("encoding", ["br", "gzip, gzip", "zstd"])
async def test_other_encodings_are_refused(encoding: str, fetcher: PublicFetcher) -> None:
    """Rare or repeated content encodings are refused, and the error names them."""
    with pytest.raises(InvalidUrl, match=encoding):
        await fetcher.fetch(f"http://images.example/encoded?encoding={encoding}&bytes=10")


@pytest.mark.anyio
async def test_a_broken_encoding_is_refused(internet: FakeInternet, resolver: FakeResolver) -> None:
    """A body that is not in the declared encoding is refused."""
    transport = httpx.MockTransport(
        lambda _: httpx.Response(200, headers={"content-encoding": "gzip"}, stream=BrokenGzip())
    )
    with pytest.raises(InvalidUrl, match="broken content encoding"):
        await PublicFetcher(resolve=resolver, transport=transport).fetch("http://images.example/")


class BrokenGzip(httpx.AsyncByteStream):
    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b"this is not gzip"


@pytest.mark.anyio
async def test_a_slow_response_is_refused(resolver: FakeResolver, internet: FakeInternet) -> None:
    """The timeout is for the whole fetch, even if some bytes have arrived."""
    fetcher = PublicFetcher(resolve=resolver, transport=internet, timeout=0.2)
    with pytest.raises(InvalidUrl, match=r"within 0\.2 s") as caught:
        await fetcher.fetch("http://images.example/slow", field="mask")
    assert caught.value.field == "mask"
    await fetcher.aclose()
