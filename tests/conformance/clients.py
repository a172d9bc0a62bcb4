"""Real clients behind one interface. All responses are returned in the format of the OpenAI API."""

import asyncio
import base64
import json
import shutil
import subprocess
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import openai
import pytest
from owui_client import OpenWebUI
from owui_client.models.images import CreateImageForm, EditImageForm

from image_gateway.models.jobs import ResponseFormat
from sandbox.template import ROOT
from tests.conformance.open_webui import OpenWebUIRouter
from tests.integration.sandbox_process import MAX_WAIT_SECONDS

if TYPE_CHECKING:
    from openai.types import ImagesResponse

LITELLM_PYTHON = ROOT / ".venv-litellm/bin/python"


@dataclass(frozen=True)
class ImageRequest:
    """A request for an image: a model, its engine, and a size."""

    engine: str
    model: str
    size: str
    prompt: str = "a fox"

    def fields(self) -> dict[str, Any]:
        """Return the fields of the OpenAI API, where the engine's name is the prefix of the model's."""
        return {"model": f"{self.engine}/{self.model}", "prompt": self.prompt, "size": self.size}


class Client(Protocol):
    """A client of the gateway."""

    def generate(self, request: ImageRequest, response_format: ResponseFormat) -> dict[str, Any]:
        """Generate an image, returned as `b64_json` or `url`."""

    def edit(self, request: ImageRequest, images: list[Path], mask: Path | None) -> dict[str, Any]:
        """Edit images; the client chooses the format of the response."""

    def models(self) -> set[str]:
        """Return the names of all models that the gateway lists."""

    def close(self) -> None:
        """Close connections and processes."""


class OpenAISDK:
    """The `openai` package."""

    def __init__(self, url: str, token: str) -> None:
        self._client = openai.OpenAI(base_url=f"{url}/v1", api_key=token, max_retries=0)
        self.close = self._client.close

    def generate(self, request: ImageRequest, response_format: ResponseFormat) -> dict[str, Any]:
        response: ImagesResponse = self._client.images.generate(**request.fields(), response_format=response_format)
        return response.to_dict()

    def edit(self, request: ImageRequest, images: list[Path], mask: Path | None) -> dict[str, Any]:
        image = images[0] if len(images) == 1 else images
        response: ImagesResponse = self._client.images.edit(**request.fields(), image=image, mask=mask or openai.omit)
        return response.to_dict()

    def models(self) -> set[str]:
        return {model.id for model in self._client.models.list()}


class AsyncOpenAISDK:
    """The `openai` package's asynchronous client."""

    def __init__(self, url: str, token: str) -> None:
        self._runner = asyncio.Runner()
        self._client = openai.AsyncOpenAI(base_url=f"{url}/v1", api_key=token, max_retries=0)

    def generate(self, request: ImageRequest, response_format: ResponseFormat) -> dict[str, Any]:
        call = self._client.images.generate(**request.fields(), response_format=response_format)
        response: ImagesResponse = self._runner.run(call)
        return response.to_dict()

    def edit(self, request: ImageRequest, images: list[Path], mask: Path | None) -> dict[str, Any]:
        image = images[0] if len(images) == 1 else images
        call = self._client.images.edit(**request.fields(), image=image, mask=mask or openai.omit)
        response: ImagesResponse = self._runner.run(call)
        return response.to_dict()

    def models(self) -> set[str]:
        async def names() -> set[str]:
            return {model.id async for model in self._client.models.list()}

        return self._runner.run(names())

    def close(self) -> None:
        self._runner.run(self._client.close())
        self._runner.close()


Result = TypeVar("Result")


class OpenWebUIClient:
    """The `owui-client` package: it uses the configured engine, and its responses are lists of URLs."""

    def __init__(self, url: str, token: str) -> None:
        self._runner = asyncio.Runner()
        self._client = OpenWebUI(api_url=f"{url}/api", api_key=token)
        self.images = self._client.images

    def run(self, call: Coroutine[Any, Any, Result]) -> Result:
        """Await a call of one of the package's methods and return its result."""
        return self._runner.run(call)

    def generate(self, request: ImageRequest, response_format: ResponseFormat) -> dict[str, Any]:
        assert response_format == "url", "it supports no other format"
        form = CreateImageForm(model=request.model, prompt=request.prompt, size=request.size)
        return _as_openai(self.run(self.images.generate_image(form)))

    def edit(self, request: ImageRequest, images: list[Path], mask: Path | None) -> dict[str, Any]:
        assert mask is None, "it does not support masks"
        encoded = [_base64(path) for path in images]
        image = encoded[0] if len(encoded) == 1 else encoded
        form = EditImageForm(model=request.model, prompt=request.prompt, size=request.size, image=image)
        return _as_openai(self.run(self.images.edit_image(form)))

    def models(self) -> set[str]:
        return {model["id"] for model in self.run(self.images.get_models())}

    def close(self) -> None:
        self.run(self._client._client.aclose())
        self._runner.close()


class LiteLLM:
    """The `litellm` package, which runs in a separate environment: see `litellm_calls.py`."""

    def __init__(self, url: str, token: str) -> None:
        if not LITELLM_PYTHON.exists():
            pytest.skip(f"{LITELLM_PYTHON} does not exist: make conformance sets it up")
        self._options = {"api_base": f"{url}/v1", "api_key": token}
        self._process = subprocess.Popen(  # noqa: S603 - a program of this folder
            [LITELLM_PYTHON, Path(__file__).with_name("litellm_calls.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self._ready = False

    def call(self, function: str, **arguments: Any) -> dict[str, Any]:
        """Call one of LiteLLM's functions; returns `{"response": …}` or `{"error": …}`."""
        assert self._process.stdin is not None
        if not self._ready:
            assert self._read_line() is None
            self._ready = True
        call = {"function": function, "arguments": {**self._options, **arguments}}
        self._process.stdin.write(json.dumps(call) + "\n")
        self._process.stdin.flush()
        result: dict[str, Any] = self._read_line()
        return result

    def generate(self, request: ImageRequest, response_format: ResponseFormat) -> dict[str, Any]:
        # For LiteLLM, OpenAI's newer models have no such parameter, and every unknown model is a newer one.
        options = {} if response_format == "b64_json" else {"extra_body": {"response_format": response_format}}
        return self._response("image_generation", request, **options)

    def edit(self, request: ImageRequest, images: list[Path], mask: Path | None) -> dict[str, Any]:
        options = {"mask": str(mask)} if mask else {}
        return self._response("image_edit", request, image=[str(path) for path in images], **options)

    def models(self) -> set[str]:
        result = self.call("get_valid_models", check_provider_endpoint=True, custom_llm_provider="openai")
        return set(result["response"])

    def close(self) -> None:
        self._process.communicate(timeout=MAX_WAIT_SECONDS)

    def _response(self, function: str, request: ImageRequest, **arguments: Any) -> dict[str, Any]:
        fields = request.fields()
        # LiteLLM removes the part before the first slash, which says whose API to use.
        result = self.call(function, **{**fields, "model": f"openai/{fields['model']}"}, **arguments)
        assert "response" in result, result
        response: dict[str, Any] = result["response"]
        return response

    def _read_line(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "litellm_calls.py ended"
        return json.loads(line)


class Curl:
    """The `curl` program."""

    def __init__(self, url: str, token: str) -> None:
        program = shutil.which("curl")
        if program is None:
            pytest.skip("curl is not installed")
        self._url = url
        self._command = [program, "--fail-with-body", "-sSL", "--noproxy", "*", "-H", f"Authorization: Bearer {token}"]

    def generate(self, request: ImageRequest, response_format: ResponseFormat) -> dict[str, Any]:
        body = json.dumps({**request.fields(), "response_format": response_format})
        return self._openai("generations", "-H", "Content-Type: application/json", "-d", body)

    def edit(self, request: ImageRequest, images: list[Path], mask: Path | None) -> dict[str, Any]:
        name = "image" if len(images) == 1 else "image[]"
        parts = [f"{name}=@{path}" for path in images] + ([f"mask=@{mask}"] if mask else [])
        fields = [f"{name}={value}" for name, value in request.fields().items()]
        options = [option for part in parts for option in ("-F", part)]
        return self._openai("edits", *options, *[o for field in fields for o in ("--form-string", field)])

    def models(self) -> set[str]:
        return {model["id"] for model in self._json("/v1/models")["data"]}

    def close(self) -> None:
        """Each request is a process of its own, so there is nothing to close."""

    def _openai(self, operation: str, *options: str) -> dict[str, Any]:
        response: dict[str, Any] = self._json(f"/v1/images/{operation}", *options)
        return response

    def _json(self, path: str, *options: str) -> Any:
        command = [*self._command, self._url + path, *options]
        process = subprocess.run(command, capture_output=True, check=False, timeout=MAX_WAIT_SECONDS)  # noqa: S603 - curl
        assert process.returncode == 0, process.stdout + process.stderr
        return json.loads(process.stdout)


CLIENTS: dict[str, Callable[[str, str], Client]] = {
    "OpenAI": OpenAISDK,
    "AsyncOpenAI": AsyncOpenAISDK,
    "litellm": LiteLLM,
    "curl": Curl,
    "aiohttp": OpenWebUIRouter,
    "owui-client": OpenWebUIClient,
}
"""Clients by their names in `docs/clients.md`; each is created with the gateway's URL and a token."""


def _base64(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()


def _as_openai(images: list[dict[str, Any]]) -> dict[str, Any]:
    return {"data": images, "warnings": images[0].get("warnings")}
