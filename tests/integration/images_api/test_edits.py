"""Edits with all four sandbox engines over HTTP: the images that come back, and the log."""

from typing import TYPE_CHECKING

import pytest

from sandbox.engines.state import Fault
from tests.integration.images_api.edit_results import ENGINES, Editing, results
from tests.integration.sample_images import BLUE, GREEN, GREY, RED, colours, encoded, right_half, text

if TYPE_CHECKING:
    from tests.integration.deployment import Deployment


@pytest.mark.parametrize("name", ENGINES)
def test_an_edit_is_made_stored_and_recorded(deployment: "Deployment", use_edit_engine: Editing, name: str) -> None:
    """One image comes back that shows the input; the job knows engine, owner and image, not the input."""
    use_edit_engine(name)

    response = deployment.edit()

    (image,) = results(response)
    assert image.convert("RGB").getpixel((6, 6)) == RED
    (job,) = deployment.jobs()
    assert (job.kind, job.engine, job.status, job.owner[:6]) == ("edit", name, "succeeded", "token:")
    assert [entry.key for entry in job.images] == deployment.stored()
    assert job.request == {"prompt": "a hat"}


@pytest.mark.parametrize("name", ["openai", "gemini", "comfyui"])
def test_several_inputs_are_used_in_order(deployment: "Deployment", use_edit_engine: Editing, name: str) -> None:
    """Each input's thumbnail stands where its number says."""
    use_edit_engine(name)

    (image,) = results(deployment.edit([text(encoded(colour)) for colour in (RED, GREEN, BLUE)], size="384x384"))

    side = image.width // 6
    slots = [(4 + number * (side + 4) + 16, 20) for number in range(3)]
    assert [image.convert("RGB").getpixel(place) for place in slots] == [RED, GREEN, BLUE]


@pytest.mark.parametrize("name", ENGINES)
def test_three_images_are_made_where_three_are_asked_for(
    deployment: "Deployment", use_edit_engine: Editing, name: str
) -> None:
    """`n` images come back, no two the same, numbered in order."""
    use_edit_engine(name)

    # On a smaller one the words that are written on it may hide all that differs.
    response = deployment.edit(n=3, size="384x256")

    assert len({image.convert("RGB").tobytes() for image in results(response)}) == 3
    assert [image["id"].rpartition("-")[2] for image in response.json] == ["0", "1", "2"]


@pytest.mark.parametrize(("name", "size"), [(name, (384, 256)) for name in ENGINES if name != "gemini"])
def test_the_size_asked_for_is_made(
    deployment: "Deployment", use_edit_engine: Editing, name: str, size: tuple[int, int]
) -> None:
    """The size of the request is the image's, whatever the input's is."""
    use_edit_engine(name)

    (image,) = results(deployment.edit(size=f"{size[0]}x{size[1]}"))

    assert image.size == size


@pytest.mark.parametrize("name", ["comfyui", "automatic1111"])
def test_without_a_size_the_input_gives_it(deployment: "Deployment", use_edit_engine: Editing, name: str) -> None:
    """Engines that paint over the input keep its size."""
    use_edit_engine(name)

    (image,) = results(deployment.edit(text(encoded(size=(128, 96)))))

    assert image.size == (128, 96)


@pytest.mark.parametrize("name", ["openai", "comfyui", "automatic1111"])
def test_only_what_the_mask_leaves_transparent_is_changed(
    deployment: "Deployment", use_edit_engine: Editing, name: str
) -> None:
    """The opaque half of the mask keeps the input as it is; the transparent one is painted on."""
    use_edit_engine(name)

    (image,) = results(deployment.edit(text(encoded(GREY)), mask=right_half(), size="256x256"))

    assert colours(image, (0, 0, 124, 256)) == {GREY}
    assert len(colours(image, (132, 0, 256, 256))) > 1


FAULTS = [
    (Fault(401, {"error": {"message": "Incorrect API key: planted-engine-key"}}), 400, "engine_rejected", "Incorrect"),
    (Fault(429, {"error": {"message": "Rate limit"}}, {"Retry-After": "1"}), 429, "engine_rate_limited", "Rate"),
    (Fault(500, {"error": {"message": "it broke"}}), 502, "engine_unavailable", "it broke"),
    (Fault(0), 502, "engine_unavailable", "broke off"),
    (Fault(200, {"data": []}), 502, "engine_unavailable", "without images"),
    (Fault(400, {"error": {"message": "Rejected", "code": "moderation_blocked"}}), 400, "content_blocked", "Rejected"),
]  # fmt: skip


@pytest.mark.parametrize(("fault", "status", "code", "words"), FAULTS, ids=[fault[2] + fault[3] for fault in FAULTS])
def test_an_engines_failure_is_told_and_recorded(
    deployment: "Deployment", use_edit_engine: Editing, fault: Fault, status: int, code: str, words: str
) -> None:
    """The engine's own words without the key, in the answer as in the job; nothing is stored."""
    engine = use_edit_engine("openai")
    engine.state.knobs.faults.append(Fault(**{**vars(fault), "times": -1}))

    response = deployment.edit()

    (job,) = deployment.jobs()
    assert (response.status, response.json["code"]) == (status, code)
    assert words in response.json["detail"]
    assert "planted-engine-key" not in response.text
    assert job.status == "failed"
    assert job.error
    assert (job.error.code, job.error.detail) == (code, response.json["detail"])
    assert deployment.stored() == []


def test_prompts_images_and_keys_stay_out_of_the_log(
    deployment: "Deployment",
    use_edit_engine: Editing,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A job is one line with its figures; what was sent is in none."""
    use_edit_engine("openai")
    caplog.clear()

    deployment.edit(text(encoded()), prompt="planted-prompt")

    (job,) = [record for record in caplog.records if record.getMessage() == "job"]
    assert (job.engine, job.outcome, job.images) == ("openai", "succeeded", 1)  # type: ignore[attr-defined]
    everything = str([record.__dict__ for record in caplog.records]) + capsys.readouterr().out
    assert "planted" not in everything
    assert text(encoded())[:40] not in everything
