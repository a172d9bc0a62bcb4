"""Uploads: a presigned POST from the edit function, the file sent to the bucket, its id as an input."""

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests import web
from tests.aws_clients import aws_client
from tests.integration.sample_images import GREEN, encoded, opened

if TYPE_CHECKING:
    from tests.integration.deployment import ApiResponse, Deployment
    from tests.integration.sandbox_engine import SandboxEngine

FORM = {"content_type": "image/png", "bytes": 1_000_000}


@pytest.fixture
def engine(use_edit_engine: Callable[[str], "SandboxEngine"]) -> "SandboxEngine":
    """The engine whose record holds the inputs themselves."""
    return use_edit_engine("automatic1111")


def request_upload(deployment: "Deployment", role: str | None = "user", **fields: Any) -> "ApiResponse":
    """Request a presigned POST for a file."""
    return deployment.call("POST", "/api/v1/images/uploads", {**FORM, **fields}, role=role)


def upload(deployment: "Deployment", data: bytes) -> str:
    """Upload a file as a client does; return its id."""
    post = request_upload(deployment).json
    response = web.post(post["url"], data=post["fields"], files={"file": data})
    assert response.is_success, response.text
    return str(post["id"])


def test_a_presigned_post_is_limited_to_key_type_size_and_15_minutes(
    deployment: "Deployment", engine: "SandboxEngine"
) -> None:
    """The policy allows one key, one content type and at most the requested size."""
    before = datetime.now(UTC).replace(microsecond=0)
    response = request_upload(deployment, content_type="image/jpeg", bytes=7_000_000)
    after = datetime.now(UTC)

    assert response.status == 201
    upload = response.json
    policy = json.loads(base64.b64decode(upload["fields"]["policy"]))
    assert ["content-length-range", 1, 7_000_000] in policy["conditions"]
    assert {"Content-Type": "image/jpeg"} in policy["conditions"]
    assert {"bucket": deployment.gateway.settings.bucket} in policy["conditions"]
    assert {"key": upload["fields"]["key"]} in policy["conditions"]
    assert upload["fields"]["Content-Type"] == "image/jpeg"
    assert upload["fields"]["key"].startswith("uploads/")
    assert upload["id"] == f"upload-{upload['fields']['key'].rpartition('/')[2]}"
    for expiry in (policy["expiration"], upload["expires_at"]):
        assert before <= datetime.fromisoformat(expiry) - timedelta(minutes=15) <= after


def test_an_uploaded_file_is_an_input(deployment: "Deployment", engine: "SandboxEngine") -> None:
    """The engine receives the uploaded file."""
    upload_id = upload(deployment, encoded(GREEN))

    assert deployment.edit(upload_id).status == 200

    assert opened(engine.posted("/img2img")[0]["init_images"][0]).getpixel((0, 0)) == GREEN


def test_an_uploaded_file_is_a_mask(deployment: "Deployment", engine: "SandboxEngine") -> None:
    """A mask can be the id of an upload, as an input can."""
    upload_id = upload(deployment, encoded((0, 0, 0, 0)))

    assert deployment.edit(mask=upload_id).status == 200

    assert opened(engine.posted("/img2img")[0]["mask"]).getpixel((0, 0)) == 255


@pytest.mark.parametrize("role", ["stranger", "admin"])
def test_an_upload_of_another_owner_is_not_found(deployment: "Deployment", engine: "SandboxEngine", role: str) -> None:
    """An upload can be used by its owner only."""
    upload_id = upload(deployment, encoded())

    response = deployment.edit(upload_id, role=role)

    assert (response.status, response.json["code"], response.json["field"]) == (404, "not_found", "image")
    assert response.json["detail"] == f"There is no image or upload {upload_id}"
    assert engine.state.record == []


def test_an_upload_that_was_never_sent_is_a_404(deployment: "Deployment", engine: "SandboxEngine") -> None:
    """The id of a presigned POST without a file is no input."""
    upload_id = request_upload(deployment).json["id"]

    response = deployment.edit([upload_id])

    assert (response.status, response.json["field"]) == (404, "image[0]")


def test_an_uploaded_file_that_is_not_an_image_is_refused_when_it_is_used(
    deployment: "Deployment", engine: "SandboxEngine"
) -> None:
    """The content is checked, not the client's content type."""
    upload_id = upload(deployment, b"<!doctype html>")

    response = deployment.edit(upload_id)

    assert (response.status, response.json["code"], response.json["field"]) == (400, "invalid_image", "image")
    assert engine.state.record == []


def test_an_uploaded_file_over_the_limit_is_a_413(deployment: "Deployment", engine: "SandboxEngine") -> None:
    """A larger object than the policy allows is not read, however it came into the bucket."""
    upload = request_upload(deployment).json
    bucket = deployment.gateway.settings.bucket
    aws_client("s3").put_object(Bucket=bucket, Key=upload["fields"]["key"], Body=bytes(50_000_001))

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
def test_an_invalid_type_or_size_is_refused(
    deployment: "Deployment", engine: "SandboxEngine", field: str, value: Any
) -> None:
    """A type that is not an image's, a size out of bounds, or an unknown field is a 422 that names the field."""
    response = request_upload(deployment, **{field: value})

    assert (response.status, response.json["field"]) == (422, field)


@pytest.mark.parametrize("size", [1, 50_000_000])
def test_the_smallest_and_the_largest_size_are_accepted(
    deployment: "Deployment", engine: "SandboxEngine", size: int
) -> None:
    """One byte and 50 MB can be uploaded."""
    assert request_upload(deployment, bytes=size).status == 201


def test_uploads_are_disabled_while_editing_is(deployment: "Deployment") -> None:
    """A deployment that does not edit stores no inputs."""
    response = request_upload(deployment)

    assert (response.status, response.json["code"]) == (403, "disabled")
