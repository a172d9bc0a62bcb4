"""The sandbox's OpenAI server, called with the `openai` SDK."""

import base64
import io
from collections.abc import Callable, Iterator

import httpx
import openai
import pytest
from openai.types import ImagesResponse
from PIL import Image
from pydantic import TypeAdapter
from starlette.types import ASGIApp

from image_gateway.images.sniff import sniff
from sandbox.engines.openai import create_app
from sandbox.engines.state import Fault, SandboxState
from tests import web

KEY = "sk-sandbox-0123456789abcdef"


@pytest.fixture
def state() -> SandboxState:
    return SandboxState()


@pytest.fixture
def url(serve: Callable[[ASGIApp], str], state: SandboxState) -> str:
    return serve(create_app(state))


@pytest.fixture
def client(url: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{url}/v1", api_key=KEY, max_retries=0) as client:
        yield client


def image(size: tuple[int, int] = (64, 48), mode: str = "RGB", format: str = "PNG") -> bytes:
    out = io.BytesIO()
    Image.new(mode, size, 120 if mode == "L" else tuple([120] * len(mode))).save(out, format)
    return out.getvalue()


def image_of(response: ImagesResponse, number: int = 0) -> bytes:
    assert response.data
    return base64.b64decode(response.data[number].b64_json or "")


def test_a_generation_has_the_requested_size(client: openai.OpenAI) -> None:
    """The response has a PNG as base64."""
    response = client.images.generate(prompt="a fox", model="gpt-image-2", size="64x128")

    kind = sniff(image_of(response))
    assert (kind.content_type, kind.width, kind.height) == ("image/png", 64, 128)


def test_images_of_one_prompt_differ(client: openai.OpenAI) -> None:
    """As with a real model, each image is different."""
    response = client.images.generate(prompt="a fox", n=2, size="64x64")

    assert image_of(response, 0) != image_of(response, 1)


def test_a_response_validates_against_the_sdk_type(url: str) -> None:
    """It validates strictly, usage included."""
    body = web.post(f"{url}/v1/images/generations", json={"prompt": "a fox", "size": "64x64"}).json()

    response = TypeAdapter(ImagesResponse).validate_python(body)

    assert response.usage
    assert response.usage.total_tokens == response.usage.input_tokens + response.usage.output_tokens
    assert (response.size, response.quality, response.output_format, response.background) == (
        "64x64", "medium", "png", "opaque",
    )  # fmt: skip


def test_a_transparent_background_has_an_alpha_channel(client: openai.OpenAI) -> None:
    """The image has the requested format."""
    response = client.images.generate(prompt="a fox", size="64x64", background="transparent", output_format="webp")

    opened = Image.open(io.BytesIO(image_of(response)))
    assert (opened.format, "A" in opened.getbands(), response.background) == ("WEBP", True, "transparent")


def test_opaque_pixels_of_the_mask_keep_the_input_image(client: openai.OpenAI) -> None:
    """The pixels of the first image do not change there."""
    response = client.images.edit(
        image=("in.png", image((64, 64))),
        mask=("mask.png", image((64, 64), "RGBA")),
        prompt="a fox",
        size="64x64",
    )

    kept = Image.open(io.BytesIO(image_of(response))).getpixel((32, 8))
    assert kept != (0, 0, 0)
    assert response.usage
    assert response.usage.input_tokens_details.image_tokens > 0


def test_an_edit_accepts_several_images(client: openai.OpenAI, state: SandboxState) -> None:
    """They arrive under `image[]`, and the record has their names, types and sizes."""
    first, second = image(), image(format="JPEG")

    client.images.edit(image=[("1.png", first), ("2.jpg", second)], prompt="a fox", size="64x64")

    assert state.record[0].files == [
        {"name": "image[]", "filename": "1.png", "content_type": "image/png", "size": len(first)},
        {"name": "image[]", "filename": "2.jpg", "content_type": "image/jpeg", "size": len(second)},
    ]


@pytest.mark.parametrize(
    ("size", "expected"), [((64, 32), "1536x1024"), ((32, 64), "1024x1536"), ((32, 32), "1024x1024")]
)
def test_the_size_auto_follows_the_input_image(client: openai.OpenAI, size: tuple[int, int], expected: str) -> None:
    """An edit has the standard size nearest to the input's shape."""
    response = client.images.edit(image=("in.png", image(size)), prompt="a fox", size="auto")

    assert response.size == expected


def test_models_are_listed_and_found(client: openai.OpenAI) -> None:
    """Every listed model can be retrieved by its id."""
    models = [model.id for model in client.models.list()]

    assert [client.models.retrieve(model).id for model in models] == models
    assert {"gpt-image-2", "gpt-image-2.6-sunburst", "sandbox-single", "sandbox-url", "gpt-5.6-mini"} <= set(models)


def test_a_chat_completion_extends_the_prompt(client: openai.OpenAI) -> None:
    """The same two words are always added."""
    response = client.chat.completions.create(
        model="gpt-5.6-mini",
        messages=[{"role": "system", "content": "rewrite"}, {"role": "user", "content": "a fox"}],
    )

    assert response.choices[0].message.content == "a fox, highly detailed"


def test_the_url_model_returns_a_file_and_a_revised_prompt(client: openai.OpenAI) -> None:
    """`sandbox-url` accepts `response_format` and returns a URL of the same server."""
    response = client.images.generate(prompt="a fox", model="sandbox-url", size="64x64", response_format="url")

    assert response.data
    assert response.data[0].url
    assert response.data[0].revised_prompt
    assert sniff(web.get(response.data[0].url).content).width == 64


def test_the_url_model_returns_base64_if_requested(client: openai.OpenAI) -> None:
    """`response_format` selects it."""
    response = client.images.generate(prompt="a fox", model="sandbox-url", size="64x64", response_format="b64_json")

    assert sniff(image_of(response)).width == 64


def test_the_url_model_keeps_only_the_latest_files(client: openai.OpenAI, monkeypatch: pytest.MonkeyPatch) -> None:
    """The memory of a long-running sandbox stays limited; an old file is a 404."""
    monkeypatch.setattr("sandbox.engines.openai._MAX_FILES", 1)
    response = client.images.generate(prompt="a fox", model="sandbox-url", size="64x64", n=2)

    assert response.data
    assert [web.get(item.url or "").status_code for item in response.data] == [404, 200]


def test_a_wrong_key_is_refused_with_a_part_of_it(client: openai.OpenAI, state: SandboxState) -> None:
    """As with OpenAI, the 401's message shows the beginning and end of the key."""
    state.knobs.key = "another"

    with pytest.raises(openai.AuthenticationError, match=r"sk-sandb\*+cdef") as refused:
        client.models.list()
    assert refused.value.code == "invalid_api_key"


def test_a_missing_key_is_refused(url: str, state: SandboxState) -> None:
    """The response is a 401."""
    state.knobs.key = KEY

    assert web.get(f"{url}/v1/models").status_code == 401


def test_the_right_key_is_accepted(client: openai.OpenAI, state: SandboxState) -> None:
    """The knob sets the key."""
    state.knobs.key = KEY

    assert client.models.list().data


def test_a_fault_replaces_the_response(client: openai.OpenAI, state: SandboxState) -> None:
    """This includes headers."""
    state.knobs.faults = [Fault(429, {"error": {"message": "slow down"}}, {"Retry-After": "7"})]

    with pytest.raises(openai.RateLimitError) as refused:
        client.models.list()
    assert refused.value.response.headers["retry-after"] == "7"


def test_a_fault_with_status_0_closes_the_connection(url: str, state: SandboxState) -> None:
    """The response is incomplete."""
    state.knobs.faults = [Fault(0)]

    with pytest.raises(httpx.RemoteProtocolError):
        web.get(f"{url}/v1/models")


def test_azures_client_reaches_a_deployment(url: str, state: SandboxState) -> None:
    """It sends `api-key` and `api-version`."""
    state.knobs.key = KEY
    with openai.AzureOpenAI(azure_endpoint=url, api_key=KEY, api_version="2026-10-01", max_retries=0) as client:
        response = client.images.generate(prompt="a fox", model="gpt-image-2", size="64x64")

    assert sniff(image_of(response)).width == 64
    assert state.record[0].path == "/openai/deployments/gpt-image-2/images/generations"


@pytest.mark.parametrize(("query", "status"), [("", 404), ("?api-version=2026-10-01", 401)])
def test_azures_routes_need_a_version_and_a_key(url: str, state: SandboxState, query: str, status: int) -> None:
    """A missing version is a 404, a wrong key a 401."""
    state.knobs.key = KEY

    assert web.get(f"{url}/openai/models{query}").status_code == status


def test_an_unknown_route_has_openais_error_format(url: str) -> None:
    """The response is a 404 with an error object."""
    response = web.post(f"{url}/v1/images/imaginations")

    assert (response.status_code, response.json()["error"]["message"]) == (
        404,
        "Invalid URL (POST /v1/images/imaginations)",
    )
