"""Sources of input images without AWS or network, and small images."""

import asyncio
import base64
import io

from PIL import Image

from image_gateway.access.principals import Principal, Role
from image_gateway.errors import GatewayError, InvalidUrl, NotFound, TooLarge

OWNER = Principal("1", "owner", Role.USER)
OTHER_OWNER = Principal("2", "other", Role.USER)
IMAGE_ID = "018f2b6e-7a10-7c3d-9a2b-0123456789ab-0"
UPLOAD_ID = "upload-018f2b6e-7a10-7c3d-9a2b-0123456789ab"
UNKNOWN_ID = "upload-00000000-7a10-7c3d-9a2b-0123456789ab"
BUCKET_URL = "https://images.s3.eu-central-1.amazonaws.com/"


def png(width: int = 3, height: int = 2, color: str = "red", mode: str = "RGB") -> bytes:
    out = io.BytesIO()
    Image.new(mode, (width, height), color).save(out, "PNG")
    return out.getvalue()


def data_url(data: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(data).decode()


PNG = png()
BASE64_PNG = base64.b64encode(PNG).decode()
MASK_URL = data_url(png(3, 2, "#00000000", "RGBA"))
"""A mask of the size of `PNG`, all of which may be edited."""


class FakeStoredImages:
    """One image and one upload, both owned by `OWNER`, 5 pixels wide. Records the ids that are read."""

    def __init__(self) -> None:
        self.read_ids: list[str] = []

    def reference(self, url: str) -> str | None:
        if not url.startswith(BUCKET_URL):
            return None
        if "config" in url:
            raise NotFound("There is no such image")
        return IMAGE_ID

    async def read(self, reference: str, principal: Principal) -> bytes | None:
        self.read_ids.append(reference)
        if reference.endswith("-099"):
            raise TooLarge("The upload is over 50 MB")
        is_owned = reference in (IMAGE_ID, UPLOAD_ID) and principal == OWNER
        return png(5, 5) if is_owned else None


class FakeWeb:
    """Responses by URL. A fetch takes as many turns of the event loop as the URL has digits, and five more."""

    def __init__(self) -> None:
        self.fetched_urls: list[str] = []
        self.responses: dict[str, bytes | GatewayError] = {}
        self.concurrent = 0
        self.max_concurrent = 0

    async def fetch(self, url: str, *, field: str | None = None) -> bytes:
        self.fetched_urls.append(url)
        self.concurrent += 1
        self.max_concurrent = max(self.max_concurrent, self.concurrent)
        for _ in range(5 + sum(map(str.isdigit, url))):
            await asyncio.sleep(0)
        self.concurrent -= 1
        response = self.responses.get(url, InvalidUrl("absent", field=field))
        if isinstance(response, GatewayError):
            response.field = field
            raise response
        return response
