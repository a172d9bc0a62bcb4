"""Uploads: a presigned POST from the edit function, the file sent to the bucket, its id as an input."""

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import boto3
import httpx
import pytest

from tests.integration.sample_images import GREEN, encoded, opened

if TYPE_CHECKING:
    from tests.integration.deployment import ApiResponse, Deployment
    from tests.integration.sandbox_engine import SandboxEngine


FORM = {"content_type": "image/png", "bytes": 1_000_000}


@pytest.fixture
def engine(use_edit_engine: Callable[[str], "SandboxEngine"]) -> "SandboxEngine":
    """The engine whose record holds the inputs themselves."""
    return use_edit_engine("automatic1111")


def ask(deployment: "Deployment", role: str | None = "user", **fields: Any) -> "ApiResponse":
    return deployment.call("POST", "/api/v1/images/uploads", {**FORM, **fields}, role=role)


def sent(deployment: "Deployment", data: bytes) -> str:
    """Upload a file as a client does; gives its id."""
    upload = ask(deployment).json
    response = httpx.post(upload["url"], data=upload["fields"], files={"file": data})
    assert response.is_success, response.text
    return str(upload["id"])


def test_a_presigned_post_is_bound_to_type_size_and_time(deployment: "Deployment", engine: "SandboxEngine") -> None:
    """The policy lets one key, one type, at most the size that was said, and 15 minutes."""
    response = ask(deployment, content_type="image/jpeg", bytes=7_000_000)

    assert response.status == 201
    upload = response.json
    policy = json.loads(base64.b64decode(upload["fields"]["policy"]))
    soon = datetime.now(UTC) + timedelta(minutes=15)
    assert ["content-length-range", 1, 7_000_000] in policy["conditions"]
    assert {"Content-Type": "image/jpeg"} in policy["conditions"]
    assert {"bucket": deployment.gateway.settings.bucket} in policy["conditions"]
    assert {"key": upload["fields"]["key"]} in policy["conditions"]
    assert upload["fields"]["Content-Type"] == "image/jpeg"
    assert upload["fields"]["key"].startswith("uploads/")
    assert upload["id"] == f"upload-{upload['fields']['key'].rpartition('/')[2]}"
    for reported in (policy["expiration"], upload["expires_at"]):
        assert abs(datetime.fromisoformat(reported) - soon) < timedelta(seconds=5)


def test_an_uploaded_file_is_an_input(deployment: "Deployment", engine: "SandboxEngine") -> None:
    """What was sent to the bucket is what the engine gets."""
    upload_id = sent(deployment, encoded(GREEN))

    assert deployment.edit(upload_id).status == 200

    assert opened(engine.requested("/img2img")[0]["init_images"][0]).getpixel((0, 0)) == GREEN


def test_an_upload_can_be_a_mask(deployment: "Deployment", engine: "SandboxEngine") -> None:
    """A mask is resolved as an input is."""
    upload_id = sent(deployment, encoded((0, 0, 0, 0)))

    assert deployment.edit(mask=upload_id).status == 200

    assert opened(engine.requested("/img2img")[0]["mask"]).getpixel((0, 0)) == 255


@pytest.mark.parametrize("role", ["stranger", "admin"])
def test_somebody_elses_upload_is_as_an_unknown_one(
    deployment: "Deployment", engine: "SandboxEngine", role: str
) -> None:
    """An upload is for its owner only."""
    upload_id = sent(deployment, encoded())

    response = deployment.edit(upload_id, role=role)

    assert (response.status, response.json["code"], response.json["field"]) == (404, "not_found", "image")
    assert response.json["detail"] == f"There is no image or upload {upload_id}"
    assert engine.state.record == []


def test_an_upload_that_was_never_sent_is_a_404(deployment: "Deployment", engine: "SandboxEngine") -> None:
    """An id alone is no image."""
    upload_id = ask(deployment).json["id"]

    response = deployment.edit([upload_id])

    assert (response.status, response.json["field"]) == (404, "image[0]")


def test_a_file_that_is_no_image_is_refused_when_it_is_used(deployment: "Deployment", engine: "SandboxEngine") -> None:
    """The type that a client says is not believed."""
    upload_id = sent(deployment, b"<!doctype html>")

    response = deployment.edit(upload_id)

    assert (response.status, response.json["code"], response.json["field"]) == (400, "invalid_image", "image")
    assert engine.state.record == []


def test_a_file_over_the_cap_is_not_read(deployment: "Deployment", engine: "SandboxEngine") -> None:
    """A larger object than the policy allows, however it came, is a 413."""
    upload = ask(deployment).json
    bucket = deployment.gateway.settings.bucket
    boto3.client("s3").put_object(Bucket=bucket, Key=upload["fields"]["key"], Body=bytes(50_000_001))

    response = deployment.edit(upload["id"])

    assert (response.status, response.json["code"], response.json["field"]) == (413, "too_large", "image")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("content_type", "text/html"),
        ("content_type", "image/"),
        ("content_type", "image/png\n"),
        ("content_type", "image/png; charset=x"),
        ("content_type", "IMAGE/PNG"),
        ("content_type", 7),
        ("bytes", 0),
        ("bytes", -1),
        ("bytes", 50_000_001),
        ("bytes", "many"),
        ("bytes", 1.5),
        ("name", "photo.png"),
    ],
)
def test_what_cannot_be_uploaded_is_refused(
    deployment: "Deployment", engine: "SandboxEngine", field: str, value: Any
) -> None:
    """A type that is no image's, or a size out of bounds, is a 422 that names the field."""
    response = ask(deployment, **{field: value})

    assert (response.status, response.json["field"]) == (422, field)


@pytest.mark.parametrize("size", [1, 50_000_000])
def test_the_bounds_of_the_size_are_within(deployment: "Deployment", engine: "SandboxEngine", size: int) -> None:
    """One byte and 50 MB can be uploaded."""
    assert ask(deployment, bytes=size).status == 201


def test_uploads_are_off_where_editing_is(deployment: "Deployment") -> None:
    """A deployment that edits nothing stores nothing."""
    response = ask(deployment)

    assert (response.status, response.json["code"]) == (403, "disabled")
