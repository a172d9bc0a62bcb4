"""The edit function, called with API Gateway's events, against all four sandbox engines over HTTP."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from PIL import Image

from sandbox.engines.openai import create_app as create_openai
from sandbox.engines.state import Fault, SandboxState
from tests.integration.sample_images import BLUE, GREEN, GREY, RED, SIDE, colours, encoded, opened, right_half, text

if TYPE_CHECKING:
    from tests.integration.conftest import Answer, Deployment, Served

ENGINES = ("openai", "gemini", "comfyui", "automatic1111")

Editing = Callable[[str], "Served"]


def results(answer: "Answer") -> list[Image.Image]:
    """The images of a 200, downloaded from their presigned URLs."""
    assert answer.status == 200, answer.text
    return [opened(httpx.get(image["url"]).content) for image in answer.json]


def warnings(answer: "Answer") -> str:
    return " ".join(answer.json[0].get("warnings", []))


# One behaviour with each engine: what comes back.


@pytest.mark.parametrize("name", ENGINES)
def test_an_edit_is_made_stored_and_recorded(deployment: "Deployment", editing: Editing, name: str) -> None:
    """One image comes back that shows the input; the job knows engine, owner and image, not the input."""
    editing(name)

    answer = deployment.edit()

    (image,) = results(answer)
    assert image.convert("RGB").getpixel((6, 6)) == RED
    (job,) = deployment.jobs()
    assert (job.kind, job.engine, job.status, job.owner[:6]) == ("edit", name, "succeeded", "token:")
    assert [entry.key for entry in job.images] == deployment.stored()
    assert job.request == {"prompt": "a hat"}


@pytest.mark.parametrize("name", ["openai", "gemini", "comfyui"])
def test_several_inputs_are_used_in_order(deployment: "Deployment", editing: Editing, name: str) -> None:
    """Each input's thumbnail stands where its number says."""
    editing(name)

    (image,) = results(deployment.edit([text(encoded(colour)) for colour in (RED, GREEN, BLUE)], size="384x384"))

    side = image.width // 6
    slots = [(4 + number * (side + 4) + 16, 20) for number in range(3)]
    assert [image.convert("RGB").getpixel(place) for place in slots] == [RED, GREEN, BLUE]


@pytest.mark.parametrize("name", ENGINES)
def test_three_images_are_made_where_three_are_asked_for(deployment: "Deployment", editing: Editing, name: str) -> None:
    """`n` images come back, no two the same, numbered in order."""
    editing(name)

    # On a smaller one the words that are written on it may hide all that differs.
    answer = deployment.edit(n=3, size="384x256")

    assert len({image.convert("RGB").tobytes() for image in results(answer)}) == 3
    assert [image["id"].rpartition("-")[2] for image in answer.json] == ["0", "1", "2"]


@pytest.mark.parametrize(("name", "size"), [(name, (384, 256)) for name in ENGINES if name != "gemini"])
def test_the_size_asked_for_is_made(
    deployment: "Deployment", editing: Editing, name: str, size: tuple[int, int]
) -> None:
    """The size of the request is the image's, whatever the input's is."""
    editing(name)

    (image,) = results(deployment.edit(size=f"{size[0]}x{size[1]}"))

    assert image.size == size


@pytest.mark.parametrize("name", ["comfyui", "automatic1111"])
def test_without_a_size_the_input_gives_it(deployment: "Deployment", editing: Editing, name: str) -> None:
    """Engines that paint over the input keep its size."""
    editing(name)

    (image,) = results(deployment.edit(text(encoded(size=(128, 96)))))

    assert image.size == (128, 96)


@pytest.mark.parametrize("name", ["openai", "comfyui", "automatic1111"])
def test_only_what_the_mask_leaves_transparent_is_changed(
    deployment: "Deployment", editing: Editing, name: str
) -> None:
    """The opaque half of the mask keeps the input as it is; the transparent one is painted on."""
    editing(name)

    (image,) = results(deployment.edit(text(encoded(GREY)), mask=right_half(), size="256x256"))

    assert colours(image, (0, 0, 124, 256)) == {GREY}
    assert len(colours(image, (132, 0, 256, 256))) > 1


# What each engine is sent.


@pytest.mark.parametrize("count", [1, 3])
def test_openai_gets_files_of_their_types(deployment: "Deployment", editing: Editing, count: int) -> None:
    """One input is `image`, several are `image[]`, in order, as PNG where the input was lossless and JPEG otherwise."""
    engine = editing("openai")
    inputs = [encoded(RED), encoded(GREEN, "JPEG"), encoded(BLUE, "BMP")][:count]

    deployment.edit([text(data) for data in inputs])

    (requested,) = engine.state.record
    name = "image" if count == 1 else "image[]"
    files = [(file["name"], file["filename"], file["content_type"]) for file in requested.files]
    wanted = [("image-0.png", "image/png"), ("image-1.jpg", "image/jpeg"), ("image-2.png", "image/png")]
    assert files == [(name, *described) for described in wanted[:count]]
    assert requested.path == "/v1/images/edits"
    assert requested.json == {"prompt": "a hat", "model": "gpt-image-2", "n": 1}
    assert requested.headers["authorization"] == "Bearer planted-engine-key"


def test_openai_gets_mask_and_every_option(deployment: "Deployment", editing: Editing) -> None:
    """The mask is a file of its own beside the fields that the request has."""
    engine = editing("openai")
    options: dict[str, Any] = {
        "n": 3,
        "size": "384x256",
        "background": "transparent",
        "quality": "low",
        "output_format": "webp",
    }

    answer = deployment.edit(mask=right_half(), **options)

    (requested,) = engine.state.record
    assert requested.json == {"prompt": "a hat", "model": "gpt-image-2", **options}
    assert [(file["name"], file["content_type"]) for file in requested.files] == [
        ("image", "image/png"),
        ("mask", "image/png"),
    ]
    assert [image["content_type"] for image in answer.json] == ["image/webp"] * 3


def test_openai_params_are_the_operators_last_word_for_edits_too(deployment: "Deployment", editing: Editing) -> None:
    """Parameters are laid over the fields of an edit, and the caller is told what changed."""
    engine = editing("openai")
    deployment.configure(IMAGES_OPENAI_API_PARAMS={"quality": "low", "n": 2})

    answer = deployment.edit(quality="high", n=1)

    assert engine.requested("/edits")[0] == {"prompt": "a hat", "model": "gpt-image-2", "n": 2, "quality": "low"}
    assert len(answer.json) == 2
    assert "quality was set to 'low'" in warnings(answer)


def test_gemini_gets_parts_with_the_inputs_types(deployment: "Deployment", editing: Editing) -> None:
    """The prompt is followed by each input in order under its own type."""
    engine = editing("gemini")

    deployment.edit([text(encoded(RED)), text(encoded(GREEN, "JPEG")), text(encoded(BLUE, "WEBP"))])

    (body,) = engine.requested(":generateContent")
    prompt, *parts = body["contents"][0]["parts"]
    blobs = [part["inline_data"] for part in parts]
    assert prompt == {"text": "a hat"}
    assert [blob["mime_type"] for blob in blobs] == ["image/png", "image/jpeg", "image/jpeg"]
    assert [opened(blob["data"]).format for blob in blobs] == ["PNG", "JPEG", "JPEG"]
    assert opened(blobs[0]["data"]).getpixel((0, 0)) == RED


def test_gemini_is_asked_once_for_each_image(deployment: "Deployment", editing: Editing) -> None:
    """Three images are three calls, each with the inputs and the nearest shape."""
    engine = editing("gemini")

    answer = deployment.edit(n=3, size="1536x1024")

    bodies = engine.requested(":generateContent")
    assert [len(body["contents"][0]["parts"]) for body in bodies] == [2, 2, 2]
    assert bodies[0]["generationConfig"]["imageConfig"] == {"aspectRatio": "3:2", "imageSize": "1K"}
    assert len(answer.json) == 3
    assert "1536x1024" in warnings(answer)


def test_gemini_has_no_masks_and_says_so(deployment: "Deployment", editing: Editing) -> None:
    """The image is edited without the mask, and a warning tells."""
    engine = editing("gemini")

    answer = deployment.edit(mask=right_half(), background="transparent")

    assert len(engine.requested(":generateContent")[0]["contents"][0]["parts"]) == 2
    assert "mask is not supported" in warnings(answer)
    assert "background is not supported" in warnings(answer)


def loaded(engine: "Served") -> list[tuple[Any, str]]:
    """What the image nodes and the mask node of the run load: a pixel of each file, and its name."""
    (body,) = engine.requested("/prompt")
    names = [body["prompt"][node]["inputs"]["image"] for node in ("10", "11", "12", "13")]
    files = engine.app.state.machine.files
    return [(opened(files["input", "", name]).convert("RGBA").getpixel((0, 0)), name) for name in names]


def test_comfyui_loads_the_inputs_in_order(deployment: "Deployment", editing: Editing) -> None:
    """Each input is uploaded under the job's id, and the nodes load them by the names answered, in order."""
    engine = editing("comfyui")

    deployment.edit([text(encoded(colour)) for colour in (RED, GREEN, BLUE)])

    (job,) = deployment.jobs()
    pixels = [pixel for pixel, _name in loaded(engine)]
    assert pixels == [(*RED, 255), (*GREEN, 255), (*BLUE, 255), (255, 255, 255, 0)]
    assert [name for _pixel, name in loaded(engine)] == [f"{job.id}-{number}.png" for number in range(4)]
    sent = [file["filename"] for requested in engine.state.record for file in requested.files]
    assert sorted(sent) == [f"{job.id}-{number}.png" for number in range(4)]


def test_comfyui_gets_mask_number_and_size(deployment: "Deployment", editing: Editing) -> None:
    """The mask is what its node loads, and one run makes the batch in the size asked for."""
    engine = editing("comfyui")

    deployment.edit(mask=right_half(), n=3, size="384x256", seed=7, model="sd_xl_base_1.0.safetensors")

    (body,) = engine.requested("/prompt")
    nodes = {number: node["inputs"] for number, node in body["prompt"].items()}
    name = loaded(engine)[3][1]
    mask = opened(engine.app.state.machine.files["input", "", name])
    assert (nodes["14"]["width"], nodes["14"]["height"], nodes["17"]["amount"]) == (384, 256, 3)
    assert (nodes["3"]["seed"], nodes["4"]["ckpt_name"], nodes["6"]["text"]) == (
        7,
        "sd_xl_base_1.0.safetensors",
        "a hat",
    )
    assert [mask.getpixel((x, 0)) for x in (0, SIDE - 1)] == [(0, 0, 0, 255), (255, 255, 255, 0)]


def test_comfyui_takes_as_many_inputs_as_its_workflow_has(deployment: "Deployment", editing: Editing) -> None:
    """What the workflow has no node for is left out, and a warning tells."""
    engine = editing("comfyui")

    answer = deployment.edit([text(encoded())] * 5)

    assert "takes 3 input images: 2 more were ignored" in warnings(answer)
    assert len([requested for requested in engine.state.record if requested.files]) == 4


def test_automatic1111_gets_the_first_input(deployment: "Deployment", editing: Editing) -> None:
    """Image to image takes one image, in its own size unless another is asked for; the rest is told of."""
    engine = editing("automatic1111")

    answer = deployment.edit([text(encoded(RED)), text(encoded(GREEN))])

    (body,) = engine.requested("/img2img")
    (init,) = body["init_images"]
    assert opened(init).getpixel((0, 0)) == RED
    assert (body["prompt"], body["width"], body["height"], body["n_iter"]) == ("a hat", SIDE, SIDE, 1)
    assert "mask" not in body
    assert "only the first of 2 was used" in warnings(answer)


def test_automatic1111_gets_its_own_kind_of_mask_and_the_params(deployment: "Deployment", editing: Editing) -> None:
    """White is what the mask left transparent; strength and sampler are the operator's."""
    engine = editing("automatic1111")
    deployment.configure(AUTOMATIC1111_PARAMS={"denoising_strength": 0.4, "sampler_name": "Euler"})

    answer = deployment.edit(mask=right_half(), n=3, size="384x256", seed=7, negative_prompt="rain")

    (body,) = engine.requested("/img2img")
    mask = opened(body["mask"])
    assert (mask.mode, mask.getpixel((0, 0)), mask.getpixel((SIDE - 1, 0))) == ("L", 0, 255)
    wanted = {"n_iter": 3, "batch_size": 1, "width": 384, "height": 256, "seed": 7, "negative_prompt": "rain"}
    wanted |= {"denoising_strength": 0.4, "sampler_name": "Euler"}
    assert {name: body[name] for name in wanted} == wanted
    assert [image["seed"] for image in answer.json] == [7, 8, 9]


# What goes wrong, and what is left unsaid.

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
    deployment: "Deployment", editing: Editing, fault: Fault, status: int, code: str, words: str
) -> None:
    """The engine's own words without the key, in the answer as in the job; nothing is stored."""
    engine = editing("openai")
    engine.state.knobs.faults.append(Fault(**{**vars(fault), "times": -1}))

    answer = deployment.edit()

    (job,) = deployment.jobs()
    assert (answer.status, answer.json["code"]) == (status, code)
    assert words in answer.json["detail"]
    assert "planted-engine-key" not in answer.text
    assert job.status == "failed"
    assert job.error
    assert (job.error.code, job.error.detail) == (code, answer.json["detail"])
    assert deployment.stored() == []


@pytest.mark.parametrize("name", ENGINES)
def test_an_engine_that_is_not_configured_names_the_field(deployment: "Deployment", name: str) -> None:
    """Each engine says which field of an edit it misses."""
    deployment.configure(ENABLE_IMAGE_EDIT=True, IMAGE_EDIT_ENGINE=name)

    answer = deployment.edit(model="any")

    fields = {
        "openai": "IMAGES_EDIT_OPENAI_API_KEY",
        "gemini": "IMAGES_EDIT_GEMINI_API_KEY",
        "comfyui": "IMAGES_EDIT_COMFYUI_BASE_URL",
        "automatic1111": "AUTOMATIC1111_BASE_URL",
    }
    assert (answer.status, answer.json["field"]) == (409, fields[name])


def test_prompts_images_and_keys_stay_out_of_the_log(
    deployment: "Deployment",
    editing: Editing,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A job is one line with its figures; what was sent is in none."""
    editing("openai")
    caplog.clear()

    deployment.edit(text(encoded()), prompt="planted-prompt")

    (job,) = [record for record in caplog.records if record.getMessage() == "job"]
    assert (job.engine, job.outcome, job.images) == ("openai", "succeeded", 1)  # type: ignore[attr-defined]
    everything = str([record.__dict__ for record in caplog.records]) + capsys.readouterr().out
    assert "planted" not in everything
    assert text(encoded())[:40] not in everything


# Settings for edits that are left empty.


@pytest.mark.parametrize(
    "fields",
    [
        {"IMAGES_EDIT_OPENAI_API_BASE_URL": ""},
        {"IMAGES_EDIT_OPENAI_API_BASE_URL": "", "IMAGES_EDIT_OPENAI_API_KEY": "another-key"},
        {"IMAGES_EDIT_OPENAI_API_BASE_URL": "{url}"},
    ],
    ids=["no URL", "no URL but a key", "the same server"],
)
def test_an_edit_takes_what_is_set_for_generation(
    deployment: "Deployment", serve: Callable[..., str], fields: dict[str, str]
) -> None:
    """Without a URL for edits, or without a key for the same server, the ones for generation hold."""
    state = SandboxState()
    state.knobs.key = "planted-engine-key"
    url = serve(create_openai(state)) + "/v1"
    deployment.configure(
        ENABLE_IMAGE_EDIT=True,
        IMAGES_OPENAI_API_BASE_URL=url,
        IMAGES_OPENAI_API_KEY="planted-engine-key",
        **{name: value.replace("{url}", url) for name, value in fields.items()},
    )

    assert deployment.edit().status == 200

    assert state.record[-1].headers["authorization"] == "Bearer planted-engine-key"


def test_the_key_for_generation_goes_to_no_other_server(deployment: "Deployment", serve: Callable[..., str]) -> None:
    """A server for edits that has no key of its own is asked without one."""
    generating, editing = SandboxState(), SandboxState()
    deployment.configure(
        ENABLE_IMAGE_EDIT=True,
        IMAGES_OPENAI_API_BASE_URL=serve(create_openai(generating)) + "/v1",
        IMAGES_OPENAI_API_KEY="planted-engine-key",
        IMAGES_EDIT_OPENAI_API_BASE_URL=serve(create_openai(editing)) + "/v1",
    )

    assert deployment.edit().status == 200

    assert generating.record == []
    assert "authorization" not in editing.record[-1].headers


def test_size_and_model_for_edits_are_their_own(deployment: "Deployment", editing: Editing) -> None:
    """The defaults for generation say nothing about edits; those for edits hold until a request says otherwise."""
    engine = editing("openai")
    deployment.configure(IMAGE_SIZE="512x512", IMAGE_GENERATION_MODEL="sandbox-single")
    deployment.edit()
    deployment.configure(IMAGE_EDIT_SIZE="384x256")
    deployment.edit()
    deployment.edit(size="256x256", model="gpt-image-2.6-sunburst")

    sent = [(fields["model"], fields.get("size")) for fields in engine.requested("/edits")]
    assert sent == [("gpt-image-2", None), ("gpt-image-2", "384x256"), ("gpt-image-2.6-sunburst", "256x256")]
