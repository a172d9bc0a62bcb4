"""Response bodies in the format of the OpenAI Images API: images as base64, or as presigned URLs.

A Lambda function can return 6 MB. A larger body is stored in the bucket, and the caller is redirected to it.
"""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass

from image_gateway.aws import Remaining
from image_gateway.errors import TooLarge
from image_gateway.images.store import ImageStore
from image_gateway.jobs.execution import ImageContents
from image_gateway.jobs.views import json_string_length, require_succeeded
from image_gateway.models.jobs import Job, JobImage, ResponseFormat
from image_gateway.models.openai import ImagesResponse, OpenAIImage
from image_gateway.openai_api.usage import complete_usage

MAX_BODY_BYTES = 6_000_000
"""Maximum size of a body that is returned directly, as it is encoded in the function's own response, which is JSON."""

MAX_BASE64_IMAGE_BYTES = 64_000_000
"""Maximum total size of images that are returned as base64. They are in memory, twice for a moment."""

_CONCURRENT_READS = 4
_SLICE_BYTES = 3 * 2**16
"""A multiple of three, so that base64 needs no padding."""


@dataclass(frozen=True, slots=True)
class ResponseBody:
    """A response body. `url` is the presigned URL of a body that is too large to be returned directly."""

    content: bytes
    url: str | None = None


class OpenAIResponseBuilder:
    """Builds response bodies from jobs.

    Args:
        images: where the images are stored.
    """

    def __init__(self, images: ImageStore) -> None:
        self._images = images

    async def build(
        self,
        job: Job,
        response_format: ResponseFormat,
        contents: ImageContents | None = None,
        *,
        remaining: Remaining,
    ) -> ResponseBody:
        """Build the `ImagesResponse` of a job.

        Args:
            job: a job that has ended.
            response_format: base64 or presigned URLs.
            contents: images by key that need not be read from the bucket. They are removed from it while they are used.
            remaining: returns the seconds that are left for storing a response that is too large to be returned.

        Raises:
            GatewayError: the job did not succeed; this is the error of the job.
            TooLarge: the format is base64 and the images are larger than `MAX_BASE64_IMAGE_BYTES`.
            StorageUnavailable: the bucket cannot be read or written.
        """
        images = require_succeeded(job).images
        response = _response_without_images(job)
        if response_format == "url":
            response.data = [
                OpenAIImage(url=self._images.url(image.key)[0], revised_prompt=image.revised_prompt) for image in images
            ]
            return ResponseBody(response.model_dump_json(exclude_none=True).encode())
        total = sum(image.size or 0 for image in images)
        if total > MAX_BASE64_IMAGE_BYTES:
            message = (
                f"The images of the job {job.id} are {total // 1_000_000} MB, and at most "
                f"{MAX_BASE64_IMAGE_BYTES // 1_000_000} MB are returned as base64: "
                f"GET /v1/images/jobs/{job.id}/result?response_format=url returns them as URLs"
            )
            raise TooLarge(message, field="response_format", may_have_cost=True)
        body = await self._encode(response, images, contents or {})
        if json_string_length(body) <= MAX_BODY_BYTES:
            return ResponseBody(bytes(body))
        key = await self._images.put_response(job.id, body, remaining)
        return ResponseBody(b"", self._images.url(key)[0])

    async def _encode(self, response: ImagesResponse, images: list[JobImage], contents: ImageContents) -> bytearray:
        """Return the JSON of a response with base64 images. It is concatenated here to avoid copies of the images."""
        body = bytearray(b'{"data":[')
        async for image, data in self._read(images, contents):
            revised = {"revised_prompt": image.revised_prompt} if image.revised_prompt else {}
            body += b"," if body.endswith(b"}") else b""
            body += b'{"b64_json":"'
            for start in range(0, len(data), _SLICE_BYTES):
                body += base64.b64encode(data[start : start + _SLICE_BYTES])
            body += b'"'
            body += b"," + json.dumps(revised)[1:].encode() if revised else b"}"
        body += b"]," + response.model_dump_json(exclude_none=True, exclude={"data"})[1:].encode()
        return body

    async def _read(self, images: list[JobImage], contents: ImageContents) -> AsyncIterator[tuple[JobImage, bytes]]:
        """Yield the images with their bytes, in order. A few of them are read concurrently."""
        for first in range(0, len(images), _CONCURRENT_READS):
            chunk = images[first : first + _CONCURRENT_READS]
            data_of_chunk = await asyncio.gather(*(self._bytes(image, contents) for image in chunk))
            for image, data in zip(chunk, data_of_chunk, strict=True):
                yield image, data

    async def _bytes(self, image: JobImage, contents: ImageContents) -> bytes:
        return contents.pop(image.key, None) or await self._images.get(image.key)


def _response_without_images(job: Job) -> ImagesResponse:
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
