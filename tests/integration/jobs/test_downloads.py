"""Presigned URLs from which a browser saves an image as a file."""

from typing import TYPE_CHECKING

from tests import web
from tests.integration.jobs.queued_generation import IMAGES, get, submit

if TYPE_CHECKING:
    from tests.integration.deployment import Deployment


def test_a_download_is_a_file_with_the_images_name(queue_deployment: "Deployment") -> None:
    """S3 sends the image as an attachment, named as in the image's document."""
    job = submit(queue_deployment)
    queue_deployment.process_queue()
    (image,) = get(queue_deployment, f"{IMAGES}/jobs/{job}").json["images"]

    download = get(queue_deployment, f"{IMAGES}/{image['id']}/download").json
    shown, saved = web.get(image["url"]), web.get(download["url"])

    assert saved.headers["content-disposition"] == f'attachment; filename="{image["name"]}"'
    assert "content-disposition" not in shown.headers
    assert saved.content == shown.content
    assert download["expires_at"] >= image["expires_at"]


def test_an_image_of_another_owner_cannot_be_downloaded(queue_deployment: "Deployment") -> None:
    """For other users it does not exist; an administrator may download it."""
    queue_deployment.tokens["other"] = queue_deployment.token("other")
    job = submit(queue_deployment)
    queue_deployment.process_queue()

    statuses = [get(queue_deployment, f"{IMAGES}/{job}-0/download", role).status for role in ("other", "admin")]

    assert statuses == [404, 200]
