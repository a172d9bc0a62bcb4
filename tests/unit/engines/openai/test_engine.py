"""The `openai` engine: the request of a generation, and the operator's parameters."""

import contextlib
from collections.abc import Callable
from typing import Any

import pytest
from openai.types.image_generate_params import ImageGenerateParamsNonStreaming
from pydantic import TypeAdapter

from image_gateway.engines.openai.engine import OpenAIEngine
from image_gateway.engines.protocol import ImageRequest
from image_gateway.errors import EngineRejected, NotConfigured
from image_gateway.images.sniff import sniff
from image_gateway.models.config import ImagesConfig
from image_gateway.models.fields import Size
from sandbox.engines.state import Fault, SandboxState

pytestmark = pytest.mark.anyio

MakeEngine = Callable[..., OpenAIEngine]
MakeRequest = Callable[..., ImageRequest]


async def test_a_generation_sends_model_size_and_n_in_one_call(
    openai_engine: MakeEngine, openai_state: SandboxState, make_request: MakeRequest
) -> None:
    """The engine gets the fields of the request."""
    result = await openai_engine().generate(make_request(model="gpt-image-2", size=Size(64, 48), n=2))

    assert [request.json for request in openai_state.record] == [
        {"prompt": "a fox", "model": "gpt-image-2", "size": "64x48", "n": 2}
    ]
    assert [(sniff(image.data).width, sniff(image.data).height) for image in result.images] == [(64, 48)] * 2
    assert result.warnings == []


async def test_fields_that_are_not_set_are_not_sent(openai_engine: MakeEngine, openai_state: SandboxState) -> None:
    """Without model and size, the engine's defaults apply."""
    await openai_engine().generate(ImageRequest(job_id="job", prompt="a fox"))

    assert openai_state.record[0].json == {"prompt": "a fox", "n": 1}


async def test_a_generation_validates_against_the_sdk_type(
    openai_engine: MakeEngine, openai_state: SandboxState, make_request: MakeRequest
) -> None:
    """A request with every field of the engine validates strictly."""
    openai_state.knobs.faults = [Fault(400, {"error": "stop here"})]
    request = make_request(
        model="gpt-image-2", size=None, auto_size=True, n=3, quality="high", background="opaque",
        output_format="webp", style="vivid",
    )  # fmt: skip
    with pytest.raises(Exception, match="stop here"):
        await openai_engine().generate(request)
    body = openai_state.record[0].json

    TypeAdapter(ImageGenerateParamsNonStreaming).validate_python(body, strict=True)
    known = ImageGenerateParamsNonStreaming
    assert set(body) <= known.__required_keys__ | known.__optional_keys__
    assert (body["size"], body["quality"], body["style"]) == ("auto", "high", "vivid")


async def test_the_key_is_sent_as_a_bearer_token(
    openai_engine: MakeEngine, openai_state: SandboxState, make_request: MakeRequest
) -> None:
    """It is in the Authorization header, and Azure's header is not sent."""
    await openai_engine().generate(make_request())

    headers = openai_state.record[0].headers
    assert headers["authorization"] == "Bearer sk-test"
    assert "api-key" not in headers


async def test_without_a_key_no_authorization_header_is_sent(
    openai_engine: MakeEngine, openai_state: SandboxState, make_request: MakeRequest
) -> None:
    """A self-hosted server may need no key."""
    await openai_engine(key="").generate(make_request())

    assert "authorization" not in openai_state.record[0].headers


async def test_token_counts_are_returned(openai_engine: MakeEngine, make_request: MakeRequest) -> None:
    """The engine's token counts are part of the result."""
    result = await openai_engine().generate(make_request())

    assert result.usage
    assert result.usage["total_tokens"] > 0


async def test_parameters_override_the_caller_with_a_warning(
    openai_engine: MakeEngine, openai_state: SandboxState, make_request: MakeRequest
) -> None:
    """The operator's parameters replace the request's; the warning names the field."""
    result = await openai_engine(params={"quality": "low", "user": "gateway"}).generate(make_request(quality="high"))

    assert openai_state.record[0].json["quality"] == "low"
    assert openai_state.record[0].json["user"] == "gateway"
    assert result.warnings == ["quality was set to 'low' by the operator's parameters"]


async def test_parameters_set_the_number_and_size_of_images(
    openai_engine: MakeEngine, make_request: MakeRequest
) -> None:
    """The operator's `n` and `size` replace the request's."""
    result = await openai_engine(params={"n": 2, "size": "96x64"}).generate(make_request(n=1))

    assert [sniff(image.data).width for image in result.images] == [96, 96]
    assert result.warnings == [
        "n was set to 2 by the operator's parameters",
        "size was set to '96x64' by the operator's parameters",
    ]


async def test_a_null_in_the_parameters_leaves_the_field_out(
    openai_engine: MakeEngine, openai_state: SandboxState, make_request: MakeRequest
) -> None:
    """No null is sent to the server."""
    result = await openai_engine(params={"quality": None}).generate(make_request(quality="high"))

    assert "quality" not in openai_state.record[0].json
    assert result.warnings == ["quality was left out by the operator's parameters"]


@pytest.mark.parametrize("field", ["steps", "negative_prompt", "seed"])
async def test_unsupported_parameters_are_ignored_with_a_warning(
    openai_engine: MakeEngine, make_request: MakeRequest, field: str
) -> None:
    """A field that the API does not support is left out."""
    result = await openai_engine().generate(make_request(**{field: 1}))

    assert result.warnings == [f"{field} is not supported by openai and was ignored"]


async def test_a_calculated_size_is_one_that_the_models_make(
    openai_engine: MakeEngine, openai_state: SandboxState, make_request: MakeRequest
) -> None:
    """A square of 4K would be refused; a size in pixels is sent as it is."""
    for approximate in (True, False):
        request = make_request(size=Size(4096, 4096), approximate_size=approximate, quality="low")
        with contextlib.suppress(EngineRejected):
            await openai_engine().generate(request)

    assert [request.json["size"] for request in openai_state.record] == ["2160x2160", "4096x4096"]


async def test_the_operators_jpg_is_jpeg(
    openai_engine: MakeEngine, openai_state: SandboxState, make_request: MakeRequest
) -> None:
    """OpenAI refuses the other name."""
    await openai_engine(params={"output_format": "jpg"}).generate(make_request())

    assert [request.json["output_format"] for request in openai_state.record] == ["jpeg"]


async def test_response_format_is_sent_only_if_configured(
    openai_engine: MakeEngine, openai_state: SandboxState, make_request: MakeRequest
) -> None:
    """A provider that needs `response_format` gets it from the operator's parameters."""
    result = await openai_engine(params={"response_format": "b64_json"}).generate(make_request(model="sandbox-url"))

    assert openai_state.record[0].json["response_format"] == "b64_json"
    assert len(openai_state.record) == 1
    assert result.images[0].revised_prompt == "a fox, as the sandbox understood it"


async def test_an_unknown_optional_field_is_left_out_with_a_warning(
    openai_engine: MakeEngine, openai_state: SandboxState, make_request: MakeRequest
) -> None:
    """If the model does not support a field, the request is sent again without it."""
    result = await openai_engine(params={"response_format": "url"}).generate(make_request(style="vivid"))

    assert [sorted(request.json) for request in openai_state.record] == [
        ["n", "prompt", "response_format", "size", "style"],
        ["n", "prompt", "response_format", "size"],
        ["n", "prompt", "size"],
    ]
    assert result.warnings == [
        "style is not supported by this model and was left out",
        "response_format is not supported by this model and was left out",
    ]


@pytest.mark.parametrize(
    "body",
    [
        {"error": {"message": "Unrecognized request argument supplied: 'quality'", "code": None, "param": None}},
        {"detail": [{"type": "extra_forbidden", "loc": ["body", "quality"], "msg": "Extra inputs are not permitted"}]},
    ],
)
async def test_an_unknown_field_is_detected_from_the_error_text(
    openai_engine: MakeEngine, openai_state: SandboxState, make_request: MakeRequest, body: dict[str, Any]
) -> None:
    """Some providers name the unknown field only in the message."""
    openai_state.knobs.faults = [Fault(400, body)]

    result = await openai_engine().generate(make_request(quality="high"))

    assert result.warnings == ["quality is not supported by this model and was left out"]


@pytest.mark.parametrize("edit", [False, True])
def test_a_missing_url_names_its_field(connect: Callable[..., Any], *, edit: bool) -> None:
    """The engine cannot be created without a base URL; generations and edits have different fields."""
    field = "IMAGES_EDIT_OPENAI_API_BASE_URL" if edit else "IMAGES_OPENAI_API_BASE_URL"

    with pytest.raises(NotConfigured) as error:
        OpenAIEngine(ImagesConfig.model_validate({field: ""}), connect(), edit=edit)
    assert error.value.field == field


def test_the_official_host_needs_a_key(connect: Callable[..., Any]) -> None:
    """No request is sent to OpenAI without a key."""
    with pytest.raises(NotConfigured) as error:
        OpenAIEngine(ImagesConfig(), connect())
    assert error.value.field == "IMAGES_OPENAI_API_KEY"
