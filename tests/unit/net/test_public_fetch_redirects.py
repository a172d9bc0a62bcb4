"""The guard for URLs of callers: redirects and changing names."""

import httpx
import pytest

from image_gateway.errors import InvalidUrl
from image_gateway.net.public_fetch import PublicFetcher
from tests.unit.net.fake_internet import IMAGE, PUBLIC, FakeInternet, FakeResolver, ImageServer


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
async def test_a_redirects_target_is_checked(
    target: str, port: int, fetcher: PublicFetcher, internet: FakeInternet, image_server: ImageServer
) -> None:
    """A public server cannot redirect the gateway to a private address."""
    statuses = [301, 302, 303, 307, 308]
    for status in statuses:
        url = httpx.URL("http://images.example/to", params={"url": target.format(port=port), "status": status})
        with pytest.raises(InvalidUrl):
            await fetcher.fetch(str(url))
    assert internet.connected == [PUBLIC] * len(statuses)
    assert [request.url.path for request in image_server.requests] == ["/to"] * len(statuses)


@pytest.mark.anyio
async def test_three_redirects_are_followed(fetcher: PublicFetcher, image_server: ImageServer) -> None:
    """Three redirects are followed, relative ones included."""
    assert await fetcher.fetch("http://images.example/redirects?left=2") == IMAGE
    assert len(image_server.requests) == 4


@pytest.mark.anyio
async def test_a_fourth_redirect_is_refused(fetcher: PublicFetcher) -> None:
    """The fourth redirect is an error, which says how many are allowed."""
    with pytest.raises(InvalidUrl, match="more than 3"):
        await fetcher.fetch("http://images.example/redirects?left=3")


@pytest.mark.anyio
async def test_a_name_is_resolved_once_per_request(
    fetcher: PublicFetcher, resolver: FakeResolver, internet: FakeInternet
) -> None:
    """A name that resolves to a private address the second time is not resolved a second time."""
    resolver.names["rebind.example"] = [PUBLIC, "127.0.0.1"]
    assert await fetcher.fetch("http://rebind.example/image.png") == IMAGE
    assert resolver.resolved == ["rebind.example"]
    assert internet.connected == [PUBLIC]


@pytest.mark.anyio
async def test_a_name_is_resolved_and_checked_again_after_a_redirect(
    fetcher: PublicFetcher, resolver: FakeResolver, internet: FakeInternet, image_server: ImageServer
) -> None:
    """A redirect to the same name is refused if the name resolves to a private address by then."""
    resolver.names["rebind.example"] = [PUBLIC, "127.0.0.1"]
    with pytest.raises(InvalidUrl, match="no public address"):
        await fetcher.fetch("http://rebind.example/redirects?left=1")
    assert internet.connected == [PUBLIC]
    assert len(image_server.requests) == 1
