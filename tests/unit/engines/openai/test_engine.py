"""The `openai` engine: what a generation sends, and what the operator's parameters change."""

from collections.abc import Callable
from typing import Any

import pytest
from openai.types.image_generate_params import ImageGenerateParamsNonStreaming
from pydantic import TypeAdapter

from image_gateway.engines.openai.engine import OpenAIEngine
from image_gateway.engines.protocol import ImageRequest
from image_gateway.errors import NotConfigured
from image_gateway.images.sniff import sniff
from image_gateway.models.config import ImagesConfig
from image_gateway.models.fields import Size
from sandbox.engines.state import Fault, SandboxState

pytestmark = pytest.mark.anyio

MakeEngine = Callable[..., OpenAIEngine]
Ask = Callable[..., ImageRequest]


async def test_model_size_and_n_reach_the_engine(
    openai_engine: MakeEngine, openai_state: SandboxState, ask: Ask
) -> None:
    """What the request says is what the engine is asked, in one call."""
    result = await openai_engine().generate(ask(model="gpt-image-2", size=Size(64, 48), n=2))

    assert [requested.json for requested in openai_state.record] == [
        {"prompt": "a fox", "model": "gpt-image-2", "size": "64x48", "n": 2}
    ]
    assert [(sniff(image.data).width, sniff(image.data).height) for image in result.images] == [(64, 48)] * 2
    assert result.warnings == []


async def test_only_what_was_asked_is_sent(openai_engine: MakeEngine, openai_state: SandboxState) -> None:
    """Without model and size, the engine's own defaults hold: no field is sent for them."""
    await openai_engine().generate(ImageRequest(job_id="job", prompt="a fox"))

    assert openai_state.record[0].json == {"prompt": "a fox", "n": 1}


async def test_what_is_sent_fits_the_sdk_type(openai_engine: MakeEngine, openai_state: SandboxState, ask: Ask) -> None:
    """A request with every field that the engine has validates strictly against the SDK's own type."""
    openai_state.knobs.faults = [Fault(400, {"error": "stop here"})]
    request = ask(
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


async def test_key_is_sent_as_a_bearer_token(openai_engine: MakeEngine, openai_state: SandboxState, ask: Ask) -> None:
    """The key travels in the Authorization header, and nothing of Azure's does."""
    await openai_engine().generate(ask())

    headers = openai_state.record[0].headers
    assert headers["authorization"] == "Bearer sk-test"
    assert "api-key" not in headers


async def test_no_key_is_sent_where_none_is_configured(
    openai_engine: MakeEngine, openai_state: SandboxState, ask: Ask
) -> None:
    """A server of one's own may need no key."""
    await openai_engine(key="").generate(ask())

    assert "authorization" not in openai_state.record[0].headers


async def test_tokens_used_are_told(openai_engine: MakeEngine, ask: Ask) -> None:
    """The engine's count of tokens is part of the result."""
    result = await openai_engine().generate(ask())

    assert result.usage
    assert result.usage["total_tokens"] > 0


async def test_params_overrule_with_a_warning(openai_engine: MakeEngine, openai_state: SandboxState, ask: Ask) -> None:
    """The operator's parameters win over the request, and the warning names the field."""
    result = await openai_engine(params={"quality": "low", "user": "gateway"}).generate(ask(quality="high"))

    assert openai_state.record[0].json["quality"] == "low"
    assert openai_state.record[0].json["user"] == "gateway"
    assert result.warnings == ["quality was set to 'low' by the operator's parameters"]


async def test_n_and_size_of_params_count(openai_engine: MakeEngine, ask: Ask) -> None:
    """`n` and `size` of the operator's parameters decide how many images come, and how large."""
    result = await openai_engine(params={"n": 2, "size": "96x64"}).generate(ask(n=1))

    assert [sniff(image.data).width for image in result.images] == [96, 96]
    assert result.warnings == [
        "n was set to 2 by the operator's parameters",
        "size was set to '96x64' by the operator's parameters",
    ]


async def test_null_in_params_leaves_a_field_out(
    openai_engine: MakeEngine, openai_state: SandboxState, ask: Ask
) -> None:
    """A null of the operator's takes the field out of the request, as no server wants to read a null."""
    result = await openai_engine(params={"quality": None}).generate(ask(quality="high"))

    assert "quality" not in openai_state.record[0].json
    assert result.warnings == ["quality was left out by the operator's parameters"]


@pytest.mark.parametrize("field", ["steps", "negative_prompt", "seed"])
async def test_what_the_api_lacks_is_said(openai_engine: MakeEngine, ask: Ask, field: str) -> None:
    """A field that the API has no word for is left out, with a warning."""
    result = await openai_engine().generate(ask(**{field: 1}))

    assert result.warnings == [f"{field} is not supported by openai and was ignored"]


async def test_response_format_is_sent_only_from_params(
    openai_engine: MakeEngine, openai_state: SandboxState, ask: Ask
) -> None:
    """A provider that wants `response_format` gets it where the operator's parameters say so."""
    result = await openai_engine(params={"response_format": "b64_json"}).generate(ask(model="sandbox-url"))

    assert openai_state.record[0].json["response_format"] == "b64_json"
    assert len(openai_state.record) == 1
    assert result.images[0].revised_prompt == "a fox, as the sandbox understood it"


async def test_unknown_optional_field_is_left_out(
    openai_engine: MakeEngine, openai_state: SandboxState, ask: Ask
) -> None:
    """Where the model does not know a field, the request is made again without it, with a warning."""
    result = await openai_engine(params={"response_format": "url"}).generate(ask(style="vivid"))

    assert [sorted(requested.json) for requested in openai_state.record] == [
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
async def test_unknown_field_is_read_from_the_words(
    openai_engine: MakeEngine, openai_state: SandboxState, ask: Ask, body: dict[str, Any]
) -> None:
    """Providers that name the unknown field only in their words are understood too."""
    openai_state.knobs.faults = [Fault(400, body)]

    result = await openai_engine().generate(ask(quality="high"))

    assert result.warnings == ["quality is not supported by this model and was left out"]


@pytest.mark.parametrize("edit", [False, True])
def test_missing_url_names_the_field(connect: Callable[..., Any], *, edit: bool) -> None:
    """Without a base URL the engine cannot be made; the error names the field of generations or of edits."""
    field = "IMAGES_EDIT_OPENAI_API_BASE_URL" if edit else "IMAGES_OPENAI_API_BASE_URL"

    with pytest.raises(NotConfigured) as error:
        OpenAIEngine(ImagesConfig.model_validate({field: ""}), connect(), edit=edit)
    assert error.value.field == field


def test_openai_itself_needs_a_key(connect: Callable[..., Any]) -> None:
    """OpenAI's own server is not asked without a key."""
    with pytest.raises(NotConfigured) as error:
        OpenAIEngine(ImagesConfig(), connect())
    assert error.value.field == "IMAGES_OPENAI_API_KEY"
