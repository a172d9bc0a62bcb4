"""What each engine is sent for an edit."""

from typing import TYPE_CHECKING, Any

import pytest

from sandbox.engines.comfyui_graph import locate
from tests.integration.images_api.edit_results import UseEditEngine, warnings
from tests.integration.sample_images import BLUE, GREEN, RED, SIDE, encoded, opened, right_half, text

if TYPE_CHECKING:
    from tests.integration.deployment import Deployment
    from tests.integration.sandbox_engine import SandboxEngine


@pytest.mark.parametrize("count", [1, 3])
def test_openai_receives_png_or_jpeg_files_in_order(
    deployment: "Deployment", use_edit_engine: UseEditEngine, count: int
) -> None:
    """One input is `image`, several are `image[]`, as PNG if the input was lossless, otherwise as JPEG."""
    engine = use_edit_engine("openai")
    inputs = [encoded(RED), encoded(GREEN, "JPEG"), encoded(BLUE, "BMP")][:count]

    deployment.edit([text(data) for data in inputs])

    (request,) = engine.state.record
    name = "image" if count == 1 else "image[]"
    files = [(file["name"], file["filename"], file["content_type"]) for file in request.files]
    expected = [("image-0.png", "image/png"), ("image-1.jpg", "image/jpeg"), ("image-2.png", "image/png")]
    assert files == [(name, *described) for described in expected[:count]]
    assert request.path == "/v1/images/edits"
    assert request.json == {"prompt": "a hat", "model": "gpt-image-2", "n": 1}
    assert request.headers["authorization"] == "Bearer planted-engine-key"


def test_openai_receives_the_mask_and_every_option(deployment: "Deployment", use_edit_engine: UseEditEngine) -> None:
    """The mask is a file of its own; the options are form fields."""
    engine = use_edit_engine("openai")
    options: dict[str, Any] = {
        "n": 3,
        "size": "384x256",
        "background": "transparent",
        "quality": "low",
        "output_format": "webp",
    }

    response = deployment.edit(mask=right_half(), **options)

    (request,) = engine.state.record
    assert request.json == {"prompt": "a hat", "model": "gpt-image-2", **options}
    assert [(file["name"], file["content_type"]) for file in request.files] == [
        ("image", "image/png"),
        ("mask", "image/png"),
    ]
    assert [image["content_type"] for image in response.json] == ["image/webp"] * 3


def test_operator_parameters_override_an_openai_edit_with_a_warning(
    deployment: "Deployment", use_edit_engine: UseEditEngine
) -> None:
    """`IMAGES_OPENAI_API_PARAMS` override the fields of an edit, and a warning names what changed."""
    engine = use_edit_engine("openai")
    deployment.configure(IMAGES_OPENAI_API_PARAMS={"quality": "low", "n": 2})

    response = deployment.edit(quality="high", n=1)

    assert engine.posted("/edits")[0] == {"prompt": "a hat", "model": "gpt-image-2", "n": 2, "quality": "low"}
    assert len(response.json) == 2
    assert "quality was set to 'low'" in warnings(response)


def test_gemini_receives_the_inputs_as_parts_with_their_types(
    deployment: "Deployment", use_edit_engine: UseEditEngine
) -> None:
    """The prompt is followed by the inputs in order, each with its own type."""
    engine = use_edit_engine("gemini")

    deployment.edit([text(encoded(RED)), text(encoded(GREEN, "JPEG")), text(encoded(BLUE, "WEBP"))])

    (body,) = engine.posted(":generateContent")
    prompt, *parts = body["contents"][0]["parts"]
    blobs = [part["inline_data"] for part in parts]
    assert prompt == {"text": "a hat"}
    assert [blob["mime_type"] for blob in blobs] == ["image/png", "image/jpeg", "image/jpeg"]
    assert [opened(blob["data"]).format for blob in blobs] == ["PNG", "JPEG", "JPEG"]
    assert opened(blobs[0]["data"]).getpixel((0, 0)) == RED


def test_gemini_is_called_once_for_each_image(deployment: "Deployment", use_edit_engine: UseEditEngine) -> None:
    """Three images are three calls, each with the inputs and the nearest aspect ratio."""
    engine = use_edit_engine("gemini")

    response = deployment.edit(n=3, size="1536x1024")

    bodies = engine.posted(":generateContent")
    assert [len(body["contents"][0]["parts"]) for body in bodies] == [2, 2, 2]
    assert bodies[0]["generationConfig"]["imageConfig"] == {"aspectRatio": "3:2", "imageSize": "1K"}
    assert len(response.json) == 3
    assert "1536x1024" in warnings(response)


def test_gemini_ignores_a_mask_with_a_warning(deployment: "Deployment", use_edit_engine: UseEditEngine) -> None:
    """The image is edited without the mask and the background."""
    engine = use_edit_engine("gemini")

    response = deployment.edit(mask=right_half(), background="transparent")

    assert len(engine.posted(":generateContent")[0]["contents"][0]["parts"]) == 2
    assert "mask is not supported" in warnings(response)
    assert "background is not supported" in warnings(response)


def loaded_files(engine: "SandboxEngine") -> list[tuple[Any, str]]:
    """Return what the image nodes and the mask node of the run load: a pixel of each file, and its name."""
    (body,) = engine.posted("/prompt")
    names = [body["prompt"][node]["inputs"]["image"] for node in ("10", "11", "12", "13")]
    files = engine.app.state.run_queue.files
    return [(opened(files[locate(name)]).convert("RGBA").getpixel((0, 0)), name) for name in names]


def test_comfyui_loads_the_inputs_in_order(deployment: "Deployment", use_edit_engine: UseEditEngine) -> None:
    """Each input is uploaded once, and the nodes load the names of the uploads' responses in order."""
    engine = use_edit_engine("comfyui")

    deployment.edit([text(encoded(color)) for color in (RED, GREEN, BLUE)])

    pixels = [pixel for pixel, _name in loaded_files(engine)]
    assert pixels == [(*RED, 255), (*GREEN, 255), (*BLUE, 255), (255, 255, 255, 0)]
    sent = [f"image-gateway/{file['filename']}" for request in engine.state.record for file in request.files]
    assert sorted(sent) == sorted(name for _pixel, name in loaded_files(engine))


def test_comfyui_receives_mask_number_of_images_and_size(
    deployment: "Deployment", use_edit_engine: UseEditEngine
) -> None:
    """The mask's node loads the mask, and one run makes the batch in the requested size."""
    engine = use_edit_engine("comfyui")

    deployment.edit(mask=right_half(), n=3, size="384x256", seed=7, model="sd_xl_base_1.0.safetensors")

    (body,) = engine.posted("/prompt")
    nodes = {number: node["inputs"] for number, node in body["prompt"].items()}
    name = loaded_files(engine)[3][1]
    mask = opened(engine.app.state.run_queue.files[locate(name)])
    assert (nodes["14"]["width"], nodes["14"]["height"], nodes["17"]["amount"]) == (384, 256, 3)
    assert (nodes["3"]["seed"], nodes["4"]["ckpt_name"], nodes["6"]["text"]) == (
        7,
        "sd_xl_base_1.0.safetensors",
        "a hat",
    )
    assert [mask.getpixel((x, 0)) for x in (0, SIDE - 1)] == [(0, 0, 0, 255), (255, 255, 255, 0)]


def test_comfyui_ignores_inputs_without_a_node_with_a_warning(
    deployment: "Deployment", use_edit_engine: UseEditEngine
) -> None:
    """Inputs for which the workflow has no node are left out."""
    engine = use_edit_engine("comfyui")

    response = deployment.edit([text(encoded())] * 5)

    assert "takes 3 input images: 2 more were ignored" in warnings(response)
    # The five inputs are the same image, which is one file beside the mask.
    assert len([request for request in engine.state.record if request.files]) == 2


def test_automatic1111_receives_the_first_input(deployment: "Deployment", use_edit_engine: UseEditEngine) -> None:
    """Image to image takes one image, in its own size unless the request says otherwise; a warning names the rest."""
    engine = use_edit_engine("automatic1111")

    response = deployment.edit([text(encoded(RED)), text(encoded(GREEN))])

    (body,) = engine.posted("/img2img")
    (init,) = body["init_images"]
    assert opened(init).getpixel((0, 0)) == RED
    assert (body["prompt"], body["width"], body["height"], body["n_iter"]) == ("a hat", SIDE, SIDE, 1)
    assert "mask" not in body
    assert "only the first of 2 was used" in warnings(response)


def test_automatic1111_receives_an_inverted_mask_and_the_parameters(
    deployment: "Deployment", use_edit_engine: UseEditEngine
) -> None:
    """White is the mask's transparent part; strength and sampler are the operator's parameters."""
    engine = use_edit_engine("automatic1111")
    deployment.configure(AUTOMATIC1111_PARAMS={"denoising_strength": 0.4, "sampler_name": "Euler"})

    response = deployment.edit(mask=right_half(), n=3, size="384x256", seed=7, negative_prompt="rain")

    (body,) = engine.posted("/img2img")
    mask = opened(body["mask"])
    assert (mask.mode, mask.getpixel((0, 0)), mask.getpixel((SIDE - 1, 0))) == ("L", 0, 255)
    expected = {"n_iter": 3, "batch_size": 1, "width": 384, "height": 256, "seed": 7, "negative_prompt": "rain"}
    expected |= {"denoising_strength": 0.4, "sampler_name": "Euler"}
    assert {name: body[name] for name in expected} == expected
    assert [image["seed"] for image in response.json] == [7, 8, 9]
