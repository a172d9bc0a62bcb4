"""The `openai` engine: values that a model refuses and that can be replaced, of DALL·E and of aspect ratios."""

from collections.abc import Callable

import pytest

from image_gateway.engines.openai.engine import OpenAIEngine
from image_gateway.engines.openai.refused_fields import refused_fields
from image_gateway.engines.openai.refused_values import is_replaceable, replaced_quality, replaced_size
from image_gateway.engines.protocol import ImageRequest
from image_gateway.errors import EngineRejected
from image_gateway.models.fields import Size
from sandbox.engines.state import Fault, SandboxState

pytestmark = pytest.mark.anyio

MakeEngine = Callable[..., OpenAIEngine]
MakeRequest = Callable[..., ImageRequest]


@pytest.mark.parametrize(("quality", "sent"), [("standard", "medium"), ("hd", "high")])
async def test_the_quality_is_translated_with_a_warning(
    openai_engine: MakeEngine, openai_state: SandboxState, make_request: MakeRequest, quality: str, sent: str
) -> None:
    """Clients of DALL·E send it by default."""
    result = await openai_engine().generate(make_request(model="gpt-image-2", quality=quality))

    assert [request.json["quality"] for request in openai_state.record] == [quality, sent]
    assert result.warnings == [f"quality {quality} is not supported by this model: {sent} was requested"]
    assert result.sent is not None
    assert (result.sent.model, result.sent.size, result.sent.quality) == ("gpt-image-2", "64x64", sent)


async def test_a_model_that_has_the_quality_gets_it(
    openai_engine: MakeEngine, openai_state: SandboxState, make_request: MakeRequest
) -> None:
    """Only refused values are translated."""
    result = await openai_engine().generate(make_request(model="sandbox-url", quality="hd"))

    assert (openai_state.record[0].json["quality"], result.warnings) == ("hd", [])


@pytest.mark.parametrize(
    ("size", "sent"),
    [("1792x1024", "1536x1024"), ("1024x1792", "1024x1536"), ("512x512", "1024x1024"), ("256x256", "1024x1024")],
)
async def test_a_retired_size_goes_to_the_nearest_that_the_model_takes(
    openai_engine: MakeEngine, openai_state: SandboxState, make_request: MakeRequest, size: str, sent: str
) -> None:
    """The refusal names the sizes."""
    result = await openai_engine().generate(make_request(model="gpt-image-1.5", size=Size.parse(size)))

    assert [request.json["size"] for request in openai_state.record] == [size, sent]
    assert f"size {size} is not supported by this model: {sent} was requested" in result.warnings


@pytest.mark.parametrize(
    ("size", "ratio", "sent", "warning"),
    [
        ("1360x768", "16:9", "1536x1024", "size 16:9 is not supported by this model: 1536x1024 was requested"),
        ("768x1360", "9:16", "1024x1536", "size 9:16 is not supported by this model: 1024x1536 was requested"),
        ("1248x832", "3:2", "1536x1024", None),
        ("2048x2048", "1:1", "1024x1024", None),
        ("2048x2048", None, "1024x1024", "size 2048x2048 is not supported by this model: 1024x1024 was requested"),
    ],
)
async def test_a_ratio_or_a_class_goes_to_the_nearest_size_that_the_model_takes(
    openai_engine: MakeEngine,
    openai_state: SandboxState,
    make_request: MakeRequest,
    size: str,
    ratio: str | None,
    sent: str,
    warning: str | None,
) -> None:
    """The pixels are the gateway's own calculation. A warning says if the ratio is another one."""
    request = make_request(model="gpt-image-1.5", size=Size.parse(size), aspect_ratio=ratio, approximate_size=True, n=2)

    result = await openai_engine().generate(request)

    assert [request.json["size"] for request in openai_state.record] == [size, sent]
    assert [text for text in result.warnings if text.startswith("size")] == ([warning] if warning else [])


async def test_a_size_of_the_operator_is_not_replaced(
    openai_engine: MakeEngine, openai_state: SandboxState, make_request: MakeRequest
) -> None:
    """It is the last word, also where the request has a ratio."""
    request = make_request(model="gpt-image-1.5", size=Size(1360, 768), aspect_ratio="16:9", approximate_size=True)

    with pytest.raises(EngineRejected):
        await openai_engine(params={"size": "640x640"}).generate(request)

    assert [request.json["size"] for request in openai_state.record] == ["640x640"]


async def test_a_size_is_replaced_once(
    openai_engine: MakeEngine, openai_state: SandboxState, make_request: MakeRequest
) -> None:
    """A server that refuses every size gets two requests."""
    openai_state.knobs.faults = [Fault(400, {"error": {"message": "Invalid size", "param": "size"}}, times=-1)]

    with pytest.raises(EngineRejected):
        await openai_engine().generate(make_request(size=Size(1360, 768), approximate_size=True))

    assert [request.json["size"] for request in openai_state.record] == ["1360x768", "1536x1024"]


@pytest.mark.parametrize(
    ("size", "detail", "expected"),
    [
        ("256x256", "Requested resolution is below the current minimum pixel budget.", "1024x1024"),
        ("1792x1024", "Width and height are too large.", "1536x1024"),
        ("1792x1024", "Invalid size '1792x1024'.", "1536x1024"),
        ("1792x1024", "Invalid size: choose 1344 x 768 or 768\u00d71344", "1344x768"),
        ("512x512", "size must be one of 1024X1024, 512x512", "1024x1024"),
    ],
)
def test_the_sizes_of_a_refusal_count_else_the_usual_ones(size: str, detail: str, expected: str) -> None:
    """All of OpenAI's models take three sizes, so one of them may help where the refusal names none."""
    replaced = replaced_size(EngineRejected(f"openai answered 400: {detail}"), {"size": size}, None)

    assert replaced == (
        {"size": expected}, [f"size {size} is not supported by this model: {expected} was requested"]
    )  # fmt: skip


@pytest.mark.parametrize(
    ("detail", "param"), [("Invalid value: 'ultra'.", "quality"), ("The prompt is too long.", None)]
)
def test_a_refusal_of_something_else_replaces_no_size(detail: str, param: str | None) -> None:
    """The size stays as it was requested."""
    error = EngineRejected(f"openai answered 400: {detail}", param=param)

    assert replaced_size(error, {"size": "1792x1024"}, None) is None


@pytest.mark.parametrize(
    ("size", "approximate", "expected"),
    [("1792x1024", False, True), ("640x640", False, False), ("640x640", True, True), ("auto", True, False)],
)
def test_only_sizes_that_nobody_chose_exactly_are_replaceable(size: str, approximate: bool, expected: bool) -> None:
    """An exact size was somebody's choice: its refusal is an error."""
    assert is_replaceable(size, approximate=approximate) is expected


@pytest.mark.parametrize(
    ("quality", "detail", "param"),
    [
        ("ultra", "Invalid value: 'ultra'. Supported values are: 'low', 'high'.", "quality"),
        ("hd", "Invalid size", "size"),
    ],
)
def test_another_quality_or_refusal_is_the_callers(quality: str, detail: str, param: str) -> None:
    """Only the words of DALL·E are translated."""
    error = EngineRejected(f"openai answered 400: {detail}", param=param)

    assert replaced_quality(error, {"quality": quality}) is None


def test_an_exact_size_is_not_left_out_if_the_refusal_names_others() -> None:
    """The model has sizes, so the caller can choose one."""
    error = EngineRejected("openai answered 400: size is not supported: 1000x1000. Use 512x512 or 1024x1024")

    assert refused_fields(error, {"prompt": "a fox", "size": "1000x1000"}) == []
