"""Ids and cursors: written values are read back, and no other text is accepted."""

import base64
import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from image_gateway.access.principals import Principal, Role
from image_gateway.api.owned_resources import IMAGE_ID, JOB_ID
from image_gateway.errors import GatewayError, InvalidRequest
from image_gateway.images.decoding.decoder import Decoder
from image_gateway.images.inputs import ImageInputs
from image_gateway.jobs.queries import encode_cursor, start_key
from tests.unit.properties.strategies import ANY_JSON, ANY_TEXT


@given(st.uuids(), st.integers(0, 9_999))
def test_job_ids_and_image_ids_are_distinct(job: Any, number: int) -> None:
    """An id is that of a job or of an image, never both, and with additional characters it is neither."""
    image = f"{job}-{number}"
    assert (bool(JOB_ID.fullmatch(str(job))), bool(IMAGE_ID.fullmatch(str(job)))) == (True, False)
    assert (bool(JOB_ID.fullmatch(image)), bool(IMAGE_ID.fullmatch(image))) == (False, True)
    for other in (f"{job}\n", f" {job}", f"{image}\n", f"{image}-1", f"upload-{job}", f"{job}-"):
        assert not JOB_ID.fullmatch(other)
        assert not IMAGE_ID.fullmatch(other)


class EmptyLibrary:
    """An image library without images, which records requested ids."""

    def __init__(self) -> None:
        self.requested: list[str] = []

    def reference(self, _url: str) -> str | None:
        return None

    async def read(self, reference: str, _principal: Principal) -> bytes | None:
        self.requested.append(reference)
        return None


async def no_fetch(url: str, *, field: str | None = None) -> bytes:
    raise AssertionError(f"{field}: {url} was fetched")


@given(
    st.uuids().map(lambda job: f"upload-{job}") | st.builds("{}-{}".format, st.uuids(), st.integers(0, 9_999)),
    st.booleans(),
    st.sampled_from(["", " ", "\n"]),
)
@pytest.mark.anyio
async def test_an_id_as_input_is_never_read_as_base64(reference: str, capitals: bool, blank: str) -> None:
    """Ids of images and uploads are read from the library, in lower case, and never decoded as base64."""
    library = EmptyLibrary()
    text = reference.upper() if capitals else reference
    with pytest.raises(GatewayError, match="no image or upload"):
        await ImageInputs(no_fetch, library, Decoder()).resolve(
            f"{blank}{text}", None, Principal("1", "a user", Role.USER)
        )

    assert library.requested == [reference]


@given(st.uuids(), st.none() | st.text(min_size=1, max_size=20))
def test_a_cursor_is_read_back(job: Any, owner: str | None) -> None:
    """The cursor of a job gives the start key of the page after the job."""
    assert start_key(encode_cursor(str(job)), owner)["pk"] == {"S": f"job#{job}"}


@given(ANY_TEXT | ANY_JSON.map(lambda value: base64.urlsafe_b64encode(json.dumps(value).encode()).decode()))
def test_any_cursor_gives_a_job_or_is_refused(given_cursor: str) -> None:
    """A cursor without a job id is `invalid_request`."""
    with contextlib.suppress(InvalidRequest):
        assert JOB_ID.fullmatch(start_key(given_cursor, None)["pk"]["S"].removeprefix("job#"))
