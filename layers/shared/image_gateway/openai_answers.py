"""Jobs' answers in the words of the OpenAI Images API: pictures as base64, or as presigned URLs.

Lambda answers no more than 6 MB. A longer answer is put into the bucket, and its caller is sent there.
"""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass

from image_gateway.errors import TooLarge
from image_gateway.image_store import ImageStore
from image_gateway.models.jobs import Job, JobPicture, ResponseFormat
from image_gateway.models.openai import ImagesResponse, OpenAIImage
from image_gateway.openai_usage import usage_of
from image_gateway.presentation import length_in_json, succeeded

MAX_BODY = 6_000_000
"""Longest body that is answered directly, in bytes as they stand in the function's own answer, which is JSON."""

MAX_PICTURES = 64_000_000
"""Most bytes of pictures that are answered as base64: they are in memory, twice for a moment."""

_AT_ONCE = 4
_SLICE = 3 * 2**16
"""A multiple of three bytes, which base64 needs no padding for."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer. `elsewhere` is the presigned URL of a body that is too long to be answered directly."""

    body: bytes
    elsewhere: str | None = None


class OpenAIAnswers:
    """Makes answers of jobs.

    Args:
        images: where the pictures are.
    """

    def __init__(self, images: ImageStore) -> None:
        self._images = images

    async def answer(self, job: Job, response_format: ResponseFormat) -> Answer:
        """The `ImagesResponse` of a job that has ended.

        Raises:
            GatewayError: the job did not succeed; the error it ended with.
            TooLarge: the pictures are over `MAX_PICTURES`, and are wanted as base64.
            StorageUnavailable: the bucket does not answer.
        """
        pictures = succeeded(job).pictures
        described = _described(job)
        if response_format == "url":
            described.data = [
                OpenAIImage(url=self._images.url(picture.key)[0], revised_prompt=picture.revised_prompt)
                for picture in pictures
            ]
            return Answer(described.model_dump_json(exclude_none=True).encode())
        total = sum(picture.size or 0 for picture in pictures)
        if total > MAX_PICTURES:
            said = (
                f"The pictures of the job {job.id} are {total // 1_000_000} MB, and {MAX_PICTURES // 1_000_000} MB are "
                f"the most as base64: GET /v1/images/jobs/{job.id}/result?response_format=url answers them as URLs"
            )
            raise TooLarge(said, field="response_format", may_have_cost=True)
        body = await self._with_base64(described, pictures)
        if length_in_json(body) <= MAX_BODY:
            return Answer(bytes(body))
        return Answer(b"", self._images.url(await self._images.put_answer(job.id, body))[0])

    async def _with_base64(self, described: ImagesResponse, pictures: list[JobPicture]) -> bytearray:
        """The JSON of an answer. Put together by hand, so that no picture is copied more often than it must be."""
        body = bytearray(b'{"data":[')
        async for picture, data in self._read(pictures):
            revised = {"revised_prompt": picture.revised_prompt} if picture.revised_prompt else {}
            body += b"," if body.endswith(b"}") else b""
            body += b'{"b64_json":"'
            for start in range(0, len(data), _SLICE):
                body += base64.b64encode(data[start : start + _SLICE])
            body += b'"'
            body += b"," + json.dumps(revised)[1:].encode() if revised else b"}"
        body += b"]," + described.model_dump_json(exclude_none=True, exclude={"data"})[1:].encode()
        return body

    async def _read(self, pictures: list[JobPicture]) -> AsyncIterator[tuple[JobPicture, bytes]]:
        """The pictures with their bytes, in order, a few at once."""
        for first in range(0, len(pictures), _AT_ONCE):
            some = pictures[first : first + _AT_ONCE]
            found = await asyncio.gather(*(self._bytes(picture) for picture in some))
            for picture, data in zip(some, found, strict=True):
                yield picture, data

    async def _bytes(self, picture: JobPicture) -> bytes:
        return picture.take() or await self._images.get(picture.key)


def _described(job: Job) -> ImagesResponse:
    first = job.pictures[0]
    background = job.told.get("background")
    return ImagesResponse.model_validate(
        {
            "created": int((job.finished_at or job.created_at).timestamp()),
            "data": [],
            "background": background if background in ("transparent", "opaque") else None,
            "output_format": first.content_type.removeprefix("image/"),
            "quality": job.told.get("quality"),
            "size": f"{first.width}x{first.height}" if first.width else None,
            "usage": usage_of(job.usage, edit=job.kind == "edit"),
            "warnings": job.warnings or None,
        }
    )
