"""The `openai` engine: fields that compatible servers refuse, each in its own words."""

from collections.abc import Callable
from typing import Any

import pytest

from image_gateway.engines.openai.engine import OpenAIEngine
from image_gateway.engines.openai.refused_fields import refused_fields
from image_gateway.engines.protocol import ImageRequest, InputImage
from image_gateway.errors import EngineRejected
from sandbox.engines.state import Fault, SandboxState

pytestmark = pytest.mark.anyio

MakeEngine = Callable[..., OpenAIEngine]
MakeRequest = Callable[..., ImageRequest]

BODY: dict[str, Any] = {
    "prompt": "a fox",
    "model": "flux",
    "n": 2,
    "size": "1024x1024",
    "quality": "hd",
    "style": "vivid",
    "background": "transparent",
    "output_format": "webp",
    "output_compression": 50,
    "response_format": "b64_json",
    "user": "someone",
}


@pytest.mark.parametrize(
    ("message", "names"),
    [
        ("Argument not supported: size", ["size"]),
        ("Arguments not supported: size, quality", ["size", "quality"]),
        ("`size` is not supported by this model", ["size"]),
        ("Setting 'style' is not supported by black-forest-labs/flux-1.1-pro", ["style"]),
        ("Setting `response_format` is not supported by flux", ["response_format"]),
        (
            "litellm.UnsupportedParamsError: replicate does not support parameters: {'size': '1x1'}, for model=flux.",
            ["size"],
        ),
        ("vertex_ai does not support parameters: ['style', 'quality'], for model=flux", ["quality", "style"]),
        ("quality is not a valid parameter for model foo", ["quality"]),
        ("Unknown parameter: 'style'.", ["style"]),
        ("Unsupported parameter: 'user' is not supported with this model.", ["user"]),
        ("Unsupported parameters: quality and style", ["quality", "style"]),
        ("Unrecognized request argument supplied: style", ["style"]),
        ("Unrecognized key(s) in object: 'style', 'user'", ["style", "user"]),
        ("generate() got an unexpected keyword argument 'background'", ["background"]),
        ("Additional properties are not allowed ('style' was unexpected)", ["style"]),
        ("body.style: Extra inputs are not permitted", ["style"]),
        ("body.style: Extra inputs are not permitted; body.user: Extra inputs are not permitted", ["style", "user"]),
        ("style: extra fields not permitted", ["style"]),
        ("This model doesn't support the 'quality' parameter", ["quality"]),
        ("This model does not support the `style` option.", ["style"]),
        ("The parameter response_format is not supported", ["response_format"]),
        ("output_format is not supported", ["output_format", "output_compression"]),
        ('json: unknown field "style"', ["style"]),
        ("Invalid parameter: background", ["background"]),
        ("property style should not exist", ["style"]),
        ("invalid output_format, must be one of [png, jpeg]", ["output_format", "output_compression"]),
        ("Invalid value: 'webp'. Use 'png'. (output_format)", ["output_format", "output_compression"]),
        ("This model does not support the style parameter.", ["style"]),
        ("Model flux does not support quality.", ["quality"]),
        ("we don't support background for this model", ["background"]),
        ("flux doesn\u2019t support quality and style", ["quality", "style"]),
        ("background isn't supported", ["background"]),
        ("'style' is not an allowed parameter", ["style"]),
        ("style: field not permitted", ["style"]),
        ("style cannot be used with this model", ["style"]),
        ("No such parameter: style", ["style"]),
        ("Unpermitted parameter: style", ["style"]),
        ("unsupported_parameter: style", ["style"]),
        ('{"errors": {"style": ["Unknown field."]}}', ["style"]),
        ("output_format: Input should be 'png' or 'jpeg'", ["output_format", "output_compression"]),
        ("unsupported output format: webp", ["output_format", "output_compression"]),
    ],
)  # fmt: skip
def test_the_refused_fields_are_recognized(message: str, names: list[str]) -> None:
    """The names in the refusal count, not its sentence."""
    assert sorted(refused_fields(EngineRejected(f"openai answered 400: {message}"), BODY)) == sorted(names)


@pytest.mark.parametrize(
    "message",
    [
        "Unknown parameter: 'prompt'.",
        "Setting 'model' is not supported by the gateway",
        "`n` is not supported by this model",
        "image is not a valid parameter",
        "Unknown model: 'size'",
        "Invalid value: 'hd'. Supported values are: 'low', 'medium', and 'high'.",
        "Invalid size '65x65'. Width and height must both be divisible by 16.",
        "The size 65x65 is not supported by this model",
        "size 65x65 is not supported by this model",
        "Transparent background is not supported for JPEG output format.",
        "Compression less than 100 is not supported for PNG output format.",
        "The image quality is not supported",
        "size is not valid",
        "A size is required",
        "Your style is not our style: try another user",
        "User is not permitted to access this model",
        "background cannot be set to transparent",
        "Prompt not supported: the style of a living artist",
        "Model does not support quality high",
    ],
)
def test_other_refusals_are_the_callers(message: str) -> None:
    """A value that is wrong is not left out, and neither are prompt, model, image and the number of images."""
    assert refused_fields(EngineRejected(f"openai answered 400: {message}"), BODY) == []


@pytest.mark.parametrize(
    ("message", "code", "names"),
    [
        ("Unknown parameter.", None, ["style"]),
        ("This parameter is not supported by the model", None, ["style"]),
        ("No.", "unsupported_parameter", ["style"]),
        ("No.", "unknown_parameter", ["style"]),
        ("Invalid value", "invalid_value", []),
        ("Style vivid is not supported with this model", "unsupported_value", []),
    ],
)
def test_the_field_may_be_named_beside_the_message(message: str, code: str | None, names: list[str]) -> None:
    """OpenAI's errors have `param`, and a code that says what is wrong with it."""
    error = EngineRejected(f"openai answered 400: {message}", engine_code=code, param="style")

    assert refused_fields(error, BODY) == names


def test_what_a_format_does_not_support_is_not_the_format() -> None:
    """The error names the field that is wrong."""
    message = "openai answered 400: Transparent background is not supported for JPEG output format."

    assert refused_fields(EngineRejected(message, param="background"), BODY) == []


def test_one_image_needs_no_count() -> None:
    """With n=1 the field says nothing that is not the default."""
    error = EngineRejected("openai answered 400: Argument not supported: n")

    assert refused_fields(error, {**BODY, "n": 1}) == ["n"]


def test_a_format_that_the_gateway_does_not_make_is_the_callers() -> None:
    """Only PNG, JPEG and WebP are converted."""
    error = EngineRejected("openai answered 400: invalid output_format, must be one of [png, jpeg]")

    assert refused_fields(error, {**BODY, "output_format": "gif"}) == []


@pytest.mark.parametrize(
    ("model", "fields", "calls"),
    [
        ("sandbox-refuses-argument", {"quality": "low", "style": "vivid"}, 4),
        ("sandbox-refuses-backticks", {"quality": "low"}, 3),
        ("sandbox-refuses-setting", {"style": "vivid"}, 3),
        ("sandbox-refuses-parameters", {"quality": "low", "style": "vivid"}, 2),
        ("sandbox-refuses-valid", {"quality": "low"}, 3),
    ],
)
async def test_refused_fields_are_left_out_with_warnings(
    openai_engine: MakeEngine,
    openai_state: SandboxState,
    make_request: MakeRequest,
    model: str,
    fields: dict[str, Any],
    calls: int,
) -> None:
    """The request is repeated without them, and nothing else is changed."""
    result = await openai_engine().generate(make_request(model=model, **fields))

    assert len(result.images) == 1
    assert len(openai_state.record) == calls
    assert openai_state.record[-1].json == {"prompt": "a fox", "model": model, "n": 1}
    assert sorted(result.warnings) == sorted(
        f"{name} is not supported by this model and was left out" for name in ("size", *fields)
    )


async def test_a_refused_format_is_converted_by_the_gateway(
    openai_engine: MakeEngine, openai_state: SandboxState, make_request: MakeRequest
) -> None:
    """It needs no warning, because the image will have the requested format."""
    request = make_request(model="sandbox-refuses-format", output_format="webp", output_compression=80)

    result = await openai_engine().generate(request)

    assert [request.json.get("output_format") for request in openai_state.record] == ["webp", None]
    assert (result.warnings, "output_format" in result.handled) == ([], False)


async def test_fields_of_an_edit_are_left_out_too(
    openai_engine: MakeEngine, openai_state: SandboxState, make_request: MakeRequest, png: Callable[[int], bytes]
) -> None:
    """Its form is sent again with the images."""
    input_image = InputImage(png(1), "image/png", 16, 16)
    request = make_request(model="sandbox-refuses-parameters", quality="low", images=(input_image,))

    result = await openai_engine().edit(request)

    assert len(result.images) == 1
    assert [len(request.files) for request in openai_state.record] == [1, 1]


async def test_a_server_that_refuses_a_field_again_is_not_asked_forever(
    openai_engine: MakeEngine, openai_state: SandboxState, make_request: MakeRequest
) -> None:
    """A field that is not in the request any more is the caller's error."""
    refusal = {"error": {"message": "Argument not supported: size"}}
    openai_state.knobs.faults = [Fault(400, refusal, times=-1)]

    with pytest.raises(EngineRejected, match="Argument not supported: size"):
        await openai_engine().generate(make_request())

    assert len(openai_state.record) == 2
