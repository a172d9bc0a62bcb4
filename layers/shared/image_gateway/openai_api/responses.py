"""Jobs' answers in the words of the OpenAI Images API: images as base64, or as presigned URLs.

Lambda answers no more than 6 MB. A longer answer is put into the bucket, and its caller is sent there.
"""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass

from image_gateway.errors import TooLarge
from image_gateway.images.store import ImageStore
from image_gateway.jobs.execution import ImageContents
from image_gateway.jobs.views import json_string_length, require_succeeded
from image_gateway.models.jobs import Job, JobImage, ResponseFormat
from image_gateway.models.openai import ImagesResponse, OpenAIImage
from image_gateway.openai_api.usage import complete_usage

MAX_BODY = 6_000_000
"""Longest body that is answered directly, in bytes as they stand in the function's own answer, which is JSON."""

MAX_IMAGES = 64_000_000
"""Most bytes of images that are answered as base64: they are in memory, twice for a moment."""

_AT_ONCE = 4
_SLICE = 3 * 2**16
"""A multiple of three bytes, which base64 needs no padding for."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer. `elsewhere` is the presigned URL of a body that is too long to be answered directly."""

    body: bytes
    elsewhere: str | None = None


class OpenAIResponseBuilder:
    """Makes answers of jobs.

    Args:
        images: where the images are.
    """

    def __init__(self, images: ImageStore) -> None:
        self._images = images

    async def answer(self, job: Job, response_format: ResponseFormat, contents: ImageContents | None = None) -> Answer:
        """The `ImagesResponse` of a job that has ended.

        Args:
            job: which has ended.
            response_format: base64 or presigned URLs.
            contents: images by their keys that need not be read from the bucket; they are taken out of it.

        Raises:
            GatewayError: the job did not succeed; the error it ended with.
            TooLarge: the images are over `MAX_IMAGES`, and are wanted as base64.
            StorageUnavailable: the bucket does not answer.
        """
        images = require_succeeded(job).images
        described = _described(job)
        if response_format == "url":
            described.data = [
                OpenAIImage(url=self._images.url(image.key)[0], revised_prompt=image.revised_prompt) for image in images
            ]
            return Answer(described.model_dump_json(exclude_none=True).encode())
        total = sum(image.size or 0 for image in images)
        if total > MAX_IMAGES:
            said = (
                f"The images of the job {job.id} are {total // 1_000_000} MB, and {MAX_IMAGES // 1_000_000} MB are "
                f"the most as base64: GET /v1/images/jobs/{job.id}/result?response_format=url answers them as URLs"
            )
            raise TooLarge(said, field="response_format", may_have_cost=True)
        body = await self._with_base64(described, images, contents or {})
        if json_string_length(body) <= MAX_BODY:
            return Answer(bytes(body))
        return Answer(b"", self._images.url(await self._images.put_response(job.id, body))[0])

    async def _with_base64(self, described: ImagesResponse, images: list[JobImage], contents: ImageContents) -> bytearray:
        """The JSON of an answer. Put together by hand, so that no image is copied more often than it must be."""
        body = bytearray(b'{"data":[')
        async for image, data in self._read(images, contents):
            revised = {"revised_prompt": image.revised_prompt} if image.revised_prompt else {}
            body += b"," if body.endswith(b"}") else b""
            body += b'{"b64_json":"'
            for start in range(0, len(data), _SLICE):
                body += base64.b64encode(data[start : start + _SLICE])
            body += b'"'
            body += b"," + json.dumps(revised)[1:].encode() if revised else b"}"
        body += b"]," + described.model_dump_json(exclude_none=True, exclude={"data"})[1:].encode()
        return body

    async def _read(self, images: list[JobImage], contents: ImageContents) -> AsyncIterator[tuple[JobImage, bytes]]:
        """The images with their bytes, in order, a few at once."""
        for first in range(0, len(images), _AT_ONCE):
            some = images[first : first + _AT_ONCE]
            found = await asyncio.gather(*(self._bytes(image, contents) for image in some))
            for image, data in zip(some, found, strict=True):
                yield image, data

    async def _bytes(self, image: JobImage, contents: ImageContents) -> bytes:
        return contents.pop(image.key, None) or await self._images.get(image.key)


def _described(job: Job) -> ImagesResponse:
    first = job.images[0]
    background = job.reported.get("background")
    return ImagesResponse.model_validate(
        {
            "created": int((job.finished_at or job.created_at).timestamp()),
            "data": [],
            "background": background if background in ("transparent", "opaque") else None,
            "output_format": first.content_type.removeprefix("image/"),
            "quality": job.reported.get("quality"),
            "size": f"{first.width}x{first.height}" if first.width else None,
            "usage": complete_usage(job.usage, edit=job.kind == "edit"),
            "warnings": job.warnings or None,
        }
    )
