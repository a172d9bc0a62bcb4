"""Edits with all four sandbox engines over HTTP: the images that come back, failures, and the log."""

from typing import TYPE_CHECKING

import pytest

from sandbox.engines.state import Fault
from tests.integration.images_api.edit_results import ENGINES, UseEditEngine, result_images
from tests.integration.sample_images import BLUE, GRAY, GREEN, RED, colors, encoded, right_half, text

if TYPE_CHECKING:
    from tests.integration.deployment import Deployment


@pytest.mark.parametrize("name", ENGINES)
def test_an_edit_is_returned_stored_and_recorded(
    deployment: "Deployment", use_edit_engine: UseEditEngine, name: str
) -> None:
    """The image shows the input; the job has the engine, the owner and the output image, not the input."""
    use_edit_engine(name)

    response = deployment.edit()

    (image,) = result_images(response)
    assert image.convert("RGB").getpixel((6, 6)) == RED
    (job,) = deployment.jobs()
    assert (job.kind, job.engine, job.status, job.owner[:6]) == ("edit", name, "succeeded", "token:")
    assert [entry.key for entry in job.images] == deployment.stored()
    assert job.request == {"prompt": "a hat"}


@pytest.mark.parametrize("name", ["openai", "gemini", "comfyui"])
def test_several_inputs_are_used_in_order(deployment: "Deployment", use_edit_engine: UseEditEngine, name: str) -> None:
    """Each input's thumbnail is at the position of its number."""
    use_edit_engine(name)

    (image,) = result_images(deployment.edit([text(encoded(color)) for color in (RED, GREEN, BLUE)], size="384x384"))

    side = image.width // 6
    slots = [(4 + number * (side + 4) + 16, 20) for number in range(3)]
    assert [image.convert("RGB").getpixel(slot) for slot in slots] == [RED, GREEN, BLUE]


@pytest.mark.parametrize("name", ENGINES)
def test_n_images_are_different_and_numbered_in_order(
    deployment: "Deployment", use_edit_engine: UseEditEngine, name: str
) -> None:
    """A request for three images returns three different ones."""
    use_edit_engine(name)

    # On a smaller image the text that the painter writes may hide all differences.
    response = deployment.edit(n=3, size="384x256")

    assert len({image.convert("RGB").tobytes() for image in result_images(response)}) == 3
    assert [image["id"].rpartition("-")[2] for image in response.json] == ["0", "1", "2"]


@pytest.mark.parametrize(("name", "size"), [(name, (384, 256)) for name in ENGINES if name != "gemini"])
def test_the_image_has_the_requested_size(
    deployment: "Deployment", use_edit_engine: UseEditEngine, name: str, size: tuple[int, int]
) -> None:
    """The request's size counts, whatever the size of the input."""
    use_edit_engine(name)

    (image,) = result_images(deployment.edit(size=f"{size[0]}x{size[1]}"))

    assert image.size == size


@pytest.mark.parametrize("name", ["comfyui", "automatic1111"])
def test_without_a_size_the_image_has_the_inputs_size(
    deployment: "Deployment", use_edit_engine: UseEditEngine, name: str
) -> None:
    """Engines that repaint the input keep its size."""
    use_edit_engine(name)

    (image,) = result_images(deployment.edit(text(encoded(size=(128, 96)))))

    assert image.size == (128, 96)


@pytest.mark.parametrize("name", ["openai", "comfyui", "automatic1111"])
def test_only_the_transparent_part_of_the_mask_is_changed(
    deployment: "Deployment", use_edit_engine: UseEditEngine, name: str
) -> None:
    """The mask's opaque half keeps the input unchanged; the transparent half is repainted."""
    use_edit_engine(name)

    (image,) = result_images(deployment.edit(text(encoded(GRAY)), mask=right_half(), size="256x256"))

    assert colors(image, (0, 0, 124, 256)) == {GRAY}
    assert len(colors(image, (132, 0, 256, 256))) > 1


FAULTS = [
    (Fault(401, {"error": {"message": "Incorrect API key: planted-engine-key"}}), 400, "engine_rejected", "Incorrect"),
    (Fault(429, {"error": {"message": "Rate limit"}}, {"Retry-After": "1"}), 429, "engine_rate_limited", "Rate"),
    (Fault(500, {"error": {"message": "it broke"}}), 502, "engine_unavailable", "it broke"),
    (Fault(0), 502, "engine_unavailable", "broke off"),
    (Fault(200, {"data": []}), 502, "engine_unavailable", "without images"),
    (Fault(400, {"error": {"message": "Rejected", "code": "moderation_blocked"}}), 400, "content_blocked", "Rejected"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("fault", "status", "code", "error_text"), FAULTS, ids=[fault[2] + fault[3] for fault in FAULTS]
)
def test_an_engines_failure_is_returned_and_recorded(
    deployment: "Deployment", use_edit_engine: UseEditEngine, fault: Fault, status: int, code: str, error_text: str
) -> None:
    """The response and the job have the engine's error text without the key; nothing is stored."""
    engine = use_edit_engine("openai")
    engine.state.knobs.faults.append(Fault(**{**vars(fault), "times": -1}))

    response = deployment.edit()

    (job,) = deployment.jobs()
    assert (response.status, response.json["code"]) == (status, code)
    assert error_text in response.json["detail"]
    assert "planted-engine-key" not in response.text
    assert job.status == "failed"
    assert job.error
    assert (job.error.code, job.error.detail) == (code, response.json["detail"])
    assert deployment.stored() == []


def test_prompts_images_and_keys_are_not_logged(
    deployment: "Deployment",
    use_edit_engine: UseEditEngine,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A job is one log line with its figures; nothing of its request is logged."""
    use_edit_engine("openai")
    caplog.clear()

    deployment.edit(text(encoded()), prompt="planted-prompt")

    (job,) = [record for record in caplog.records if record.getMessage() == "job"]
    assert (job.engine, job.outcome, job.images) == ("openai", "succeeded", 1)  # type: ignore[attr-defined]
    everything = str([record.__dict__ for record in caplog.records]) + capsys.readouterr().out
    assert "planted" not in everything
    assert text(encoded())[:40] not in everything
