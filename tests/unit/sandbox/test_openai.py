"""The sandbox's OpenAI server, seen through the `openai` SDK."""

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


def made(answer: ImagesResponse, number: int = 0) -> bytes:
    assert answer.data
    return base64.b64decode(answer.data[number].b64_json or "")


def test_generate_paints_the_size_asked_for(client: openai.OpenAI) -> None:
    """A generation answers base64 of a PNG of the size asked for."""
    answer = client.images.generate(prompt="a fox", model="gpt-image-2", size="64x128")

    kind = sniff(made(answer))
    assert (kind.content_type, kind.width, kind.height) == ("image/png", 64, 128)


def test_generations_differ(client: openai.OpenAI) -> None:
    """The same prompt gives another image each time, as with a real model."""
    answer = client.images.generate(prompt="a fox", n=2, size="64x64")

    assert made(answer, 0) != made(answer, 1)


def test_answer_fits_the_sdk_type(url: str) -> None:
    """A whole answer validates strictly against the SDK's own type, usage included."""
    body = httpx.post(f"{url}/v1/images/generations", json={"prompt": "a fox", "size": "64x64"}).json()

    answer = TypeAdapter(ImagesResponse).validate_python(body)

    assert answer.usage
    assert answer.usage.total_tokens == answer.usage.input_tokens + answer.usage.output_tokens
    assert (answer.size, answer.quality, answer.output_format, answer.background) == (
        "64x64", "medium", "png", "opaque",
    )  # fmt: skip


def test_transparent_webp(client: openai.OpenAI) -> None:
    """A transparent background comes with an alpha channel in the format asked for."""
    answer = client.images.generate(prompt="a fox", size="64x64", background="transparent", output_format="webp")

    opened = Image.open(io.BytesIO(made(answer)))
    assert (opened.format, "A" in opened.getbands(), answer.background) == ("WEBP", True, "transparent")


def test_edit_with_a_mask_keeps_what_is_opaque(client: openai.OpenAI) -> None:
    """Where the mask is opaque, the first image's pixels stay."""
    answer = client.images.edit(
        image=("in.png", image((64, 64))),
        mask=("mask.png", image((64, 64), "RGBA")),
        prompt="a fox",
        size="64x64",
    )

    kept = Image.open(io.BytesIO(made(answer))).getpixel((32, 8))
    assert kept != (0, 0, 0)
    assert answer.usage
    assert answer.usage.input_tokens_details.image_tokens > 0


def test_edit_takes_several_images(client: openai.OpenAI, state: SandboxState) -> None:
    """Several images arrive under `image[]`, and the record tells their names, types and sizes."""
    first, second = image(), image(format="JPEG")

    client.images.edit(image=[("1.png", first), ("2.jpg", second)], prompt="a fox", size="64x64")

    assert state.record[0].files == [
        {"name": "image[]", "filename": "1.png", "content_type": "image/png", "size": len(first)},
        {"name": "image[]", "filename": "2.jpg", "content_type": "image/jpeg", "size": len(second)},
    ]


@pytest.mark.parametrize(
    ("size", "expected"), [((64, 32), "1536x1024"), ((32, 64), "1024x1536"), ((32, 32), "1024x1024")]
)
def test_auto_size_follows_the_input(client: openai.OpenAI, size: tuple[int, int], expected: str) -> None:
    """An edit of size `auto` takes the standard size nearest to the input's shape."""
    answer = client.images.edit(image=("in.png", image(size)), prompt="a fox", size="auto")

    assert answer.size == expected


def test_models_are_listed_and_found(client: openai.OpenAI) -> None:
    """Every listed model can be asked for by its id."""
    models = [model.id for model in client.models.list()]

    assert [client.models.retrieve(model).id for model in models] == models
    assert {"gpt-image-2", "gpt-image-2.6-sunburst", "sandbox-single", "sandbox-url", "gpt-5.6-mini"} <= set(models)


def test_chat_rewrites_the_prompt(client: openai.OpenAI) -> None:
    """A chat completion answers the user's text with two words more, always the same."""
    answer = client.chat.completions.create(
        model="gpt-5.6-mini",
        messages=[{"role": "system", "content": "rewrite"}, {"role": "user", "content": "a fox"}],
    )

    assert answer.choices[0].message.content == "a fox, highly detailed"


def test_url_model_answers_a_file_with_a_revised_prompt(client: openai.OpenAI) -> None:
    """`sandbox-url` takes `response_format`, and answers the URL of a file on the same server."""
    answer = client.images.generate(prompt="a fox", model="sandbox-url", size="64x64", response_format="url")

    assert answer.data
    assert answer.data[0].url
    assert answer.data[0].revised_prompt
    assert sniff(httpx.get(answer.data[0].url).content).width == 64


def test_url_model_answers_base64_when_told(client: openai.OpenAI) -> None:
    """`sandbox-url` answers base64 where `response_format` says so."""
    answer = client.images.generate(prompt="a fox", model="sandbox-url", size="64x64", response_format="b64_json")

    assert sniff(made(answer)).width == 64


def test_url_model_forgets_the_oldest_file(client: openai.OpenAI, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the latest files are kept, so that a long-lived sandbox does not fill up; a forgotten one is a 404."""
    monkeypatch.setattr("sandbox.engines.openai._MAX_FILES", 1)
    answer = client.images.generate(prompt="a fox", model="sandbox-url", size="64x64", n=2)

    assert answer.data
    assert [httpx.get(item.url or "").status_code for item in answer.data] == [404, 200]


def test_wrong_key_is_refused_with_a_part_of_it(client: openai.OpenAI, state: SandboxState) -> None:
    """A wrong key is a 401 whose message shows its beginning and end, as OpenAI's does."""
    state.knobs.key = "another"

    with pytest.raises(openai.AuthenticationError, match=r"sk-sandb\*+cdef") as refused:
        client.models.list()
    assert refused.value.code == "invalid_api_key"


def test_missing_key_is_refused(url: str, state: SandboxState) -> None:
    """Where a key is wanted, none is a 401."""
    state.knobs.key = KEY

    assert httpx.get(f"{url}/v1/models").status_code == 401


def test_right_key_is_accepted(client: openai.OpenAI, state: SandboxState) -> None:
    """The key that the knob names opens the channel."""
    state.knobs.key = KEY

    assert client.models.list().data


def test_fault_is_a_rate_limit(client: openai.OpenAI, state: SandboxState) -> None:
    """A fault set on the sandbox comes in place of the answer, headers included."""
    state.knobs.faults = [Fault(429, {"error": {"message": "slow down"}}, {"Retry-After": "7"})]

    with pytest.raises(openai.RateLimitError) as refused:
        client.models.list()
    assert refused.value.response.headers["retry-after"] == "7"


def test_fault_of_status_0_breaks_off(url: str, state: SandboxState) -> None:
    """A fault of status 0 closes the connection in the middle of the answer."""
    state.knobs.faults = [Fault(0)]

    with pytest.raises(httpx.RemoteProtocolError):
        httpx.get(f"{url}/v1/models")


def test_azure_takes_its_own_header_and_path(url: str, state: SandboxState) -> None:
    """The SDK's Azure client reaches a deployment with `api-key` and `api-version`."""
    state.knobs.key = KEY
    with openai.AzureOpenAI(azure_endpoint=url, api_key=KEY, api_version="2026-10-01", max_retries=0) as client:
        answer = client.images.generate(prompt="a fox", model="gpt-image-2", size="64x64")

    assert sniff(made(answer)).width == 64
    assert state.record[0].path == "/openai/deployments/gpt-image-2/images/generations"


@pytest.mark.parametrize(("query", "status"), [("", 404), ("?api-version=2026-10-01", 401)])
def test_azure_wants_a_version_and_a_key(url: str, state: SandboxState, query: str, status: int) -> None:
    """Azure's routes answer 404 without a version and 401 without the right key."""
    state.knobs.key = KEY

    assert httpx.get(f"{url}/openai/models{query}").status_code == status


def test_unknown_route_answers_in_openais_shape(url: str) -> None:
    """A path that the API does not have is a 404 with an error object."""
    answer = httpx.post(f"{url}/v1/images/imaginations")

    assert (answer.status_code, answer.json()["error"]["message"]) == (
        404,
        "Invalid URL (POST /v1/images/imaginations)",
    )
