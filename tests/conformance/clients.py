"""Real clients, each behind the same few operations. All answers are given as the OpenAI API has them."""

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
class Ask:
    """What is asked for: a model, the engine that has it, and a size."""

    engine: str
    model: str
    size: str
    prompt: str = "a fox"

    def fields(self) -> dict[str, Any]:
        """As fields of the OpenAI API, where a model's name begins with its engine's."""
        return {"model": f"{self.engine}/{self.model}", "prompt": self.prompt, "size": self.size}


class Client(Protocol):
    """A client of the gateway."""

    def generate(self, ask: Ask, response_format: ResponseFormat) -> dict[str, Any]:
        """Make an image, answered as `b64_json` or `url`."""

    def edit(self, ask: Ask, images: list[Path], mask: Path | None) -> dict[str, Any]:
        """Edit images, with the answer's format left to the client."""

    def models(self) -> set[str]:
        """The names of all models that it is told of."""

    def close(self) -> None:
        """Let go of what it holds."""


class OpenAISDK:
    """The `openai` package."""

    def __init__(self, url: str, token: str) -> None:
        self._client = openai.OpenAI(base_url=f"{url}/v1", api_key=token, max_retries=0)
        self.close = self._client.close

    def generate(self, ask: Ask, response_format: ResponseFormat) -> dict[str, Any]:
        answer: ImagesResponse = self._client.images.generate(**ask.fields(), response_format=response_format)
        return answer.to_dict()

    def edit(self, ask: Ask, images: list[Path], mask: Path | None) -> dict[str, Any]:
        image = images[0] if len(images) == 1 else images
        answer: ImagesResponse = self._client.images.edit(**ask.fields(), image=image, mask=mask or openai.omit)
        return answer.to_dict()

    def models(self) -> set[str]:
        return {model.id for model in self._client.models.list()}


class AsyncOpenAISDK:
    """The `openai` package's asynchronous client."""

    def __init__(self, url: str, token: str) -> None:
        self._runner = asyncio.Runner()
        self._client = openai.AsyncOpenAI(base_url=f"{url}/v1", api_key=token, max_retries=0)

    def generate(self, ask: Ask, response_format: ResponseFormat) -> dict[str, Any]:
        work = self._client.images.generate(**ask.fields(), response_format=response_format)
        answer: ImagesResponse = self._runner.run(work)
        return answer.to_dict()

    def edit(self, ask: Ask, images: list[Path], mask: Path | None) -> dict[str, Any]:
        image = images[0] if len(images) == 1 else images
        work = self._client.images.edit(**ask.fields(), image=image, mask=mask or openai.omit)
        answer: ImagesResponse = self._runner.run(work)
        return answer.to_dict()

    def models(self) -> set[str]:
        async def listed() -> set[str]:
            return {model.id async for model in self._client.models.list()}

        return self._runner.run(listed())

    def close(self) -> None:
        self._runner.run(self._client.close())
        self._runner.close()


Answer = TypeVar("Answer")


class OpenWebUIClient:
    """The `owui-client` package: its engine is the configured one, and its answers are lists of URLs."""

    def __init__(self, url: str, token: str) -> None:
        self._runner = asyncio.Runner()
        self._client = OpenWebUI(api_url=f"{url}/api", api_key=token)
        self.images = self._client.images

    def run(self, work: Coroutine[Any, Any, Answer]) -> Answer:
        """Wait for one of its methods."""
        return self._runner.run(work)

    def generate(self, ask: Ask, response_format: ResponseFormat) -> dict[str, Any]:
        assert response_format == "url", "it has no word for another"
        form = CreateImageForm(model=ask.model, prompt=ask.prompt, size=ask.size)
        return _as_openai(self.run(self.images.generate_image(form)))

    def edit(self, ask: Ask, images: list[Path], mask: Path | None) -> dict[str, Any]:
        assert mask is None, "it has no word for one"
        texts = [_base64(path) for path in images]
        image = texts[0] if len(texts) == 1 else texts
        form = EditImageForm(model=ask.model, prompt=ask.prompt, size=ask.size, image=image)
        return _as_openai(self.run(self.images.edit_image(form)))

    def models(self) -> set[str]:
        return {model["id"] for model in self.run(self.images.get_models())}

    def close(self) -> None:
        self.run(self._client._client.aclose())
        self._runner.close()


class LiteLLM:
    """The `litellm` package, which runs in an environment of its own: see `litellm_calls.py`."""

    def __init__(self, url: str, token: str) -> None:
        if not LITELLM_PYTHON.exists():
            pytest.skip(f"{LITELLM_PYTHON} is not there: make conformance sets it up")
        self._where = {"api_base": f"{url}/v1", "api_key": token}
        self._process = subprocess.Popen(  # noqa: S603 - ours
            [LITELLM_PYTHON, Path(__file__).with_name("litellm_calls.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self._ready = False

    def call(self, function: str, **arguments: Any) -> dict[str, Any]:
        """Call one of LiteLLM's functions; gives `{"answer": …}` or `{"error": …}`."""
        assert self._process.stdin is not None
        if not self._ready:
            assert self._line() is None
            self._ready = True
        call = {"function": function, "arguments": {**self._where, **arguments}}
        self._process.stdin.write(json.dumps(call) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = self._line()
        return answer

    def generate(self, ask: Ask, response_format: ResponseFormat) -> dict[str, Any]:
        # It takes OpenAI's newer models to have no such parameter, and any model of an unknown name to be a newer one.
        more = {} if response_format == "b64_json" else {"extra_body": {"response_format": response_format}}
        return self._answer("image_generation", ask, **more)

    def edit(self, ask: Ask, images: list[Path], mask: Path | None) -> dict[str, Any]:
        masks = {"mask": str(mask)} if mask else {}
        return self._answer("image_edit", ask, image=[str(path) for path in images], **masks)

    def models(self) -> set[str]:
        said = self.call("get_valid_models", check_provider_endpoint=True, custom_llm_provider="openai")
        return set(said["answer"])

    def close(self) -> None:
        self._process.communicate(timeout=MAX_WAIT_SECONDS)

    def _answer(self, function: str, ask: Ask, **arguments: Any) -> dict[str, Any]:
        fields = ask.fields()
        # The name before the first slash is which API it speaks; it takes that away.
        said = self.call(function, **{**fields, "model": f"openai/{fields['model']}"}, **arguments)
        assert "answer" in said, said
        answer: dict[str, Any] = said["answer"]
        return answer

    def _line(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "litellm_calls.py ended"
        return json.loads(line)


class Curl:
    """The `curl` program."""

    def __init__(self, url: str, token: str) -> None:
        program = shutil.which("curl")
        if program is None:
            pytest.skip("there is no curl here")
        self._url = url
        self._command = [program, "--fail-with-body", "-sSL", "--noproxy", "*", "-H", f"Authorization: Bearer {token}"]

    def generate(self, ask: Ask, response_format: ResponseFormat) -> dict[str, Any]:
        body = json.dumps({**ask.fields(), "response_format": response_format})
        return self._openai("generations", "-H", "Content-Type: application/json", "-d", body)

    def edit(self, ask: Ask, images: list[Path], mask: Path | None) -> dict[str, Any]:
        name = "image" if len(images) == 1 else "image[]"
        parts = [f"{name}=@{path}" for path in images] + ([f"mask=@{mask}"] if mask else [])
        fields = [f"{name}={value}" for name, value in ask.fields().items()]
        options = [option for part in parts for option in ("-F", part)]
        return self._openai("edits", *options, *[o for field in fields for o in ("--form-string", field)])

    def models(self) -> set[str]:
        return {model["id"] for model in self._json("/v1/models")["data"]}

    def close(self) -> None:
        """There is nothing to let go of."""

    def _openai(self, operation: str, *options: str) -> dict[str, Any]:
        answer: dict[str, Any] = self._json(f"/v1/images/{operation}", *options)
        return answer

    def _json(self, path: str, *options: str) -> Any:
        command = [*self._command, self._url + path, *options]
        done = subprocess.run(command, capture_output=True, check=False, timeout=MAX_WAIT_SECONDS)  # noqa: S603 - curl
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout)


CLIENTS: dict[str, Callable[[str, str], Client]] = {
    "OpenAI": OpenAISDK,
    "AsyncOpenAI": AsyncOpenAISDK,
    "litellm": LiteLLM,
    "curl": Curl,
    "aiohttp": OpenWebUIRouter,
    "owui-client": OpenWebUIClient,
}
"""By the names that the README has for them; each is made of the gateway's URL and a token."""


def _base64(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()


def _as_openai(images: list[dict[str, Any]]) -> dict[str, Any]:
    return {"data": images, "warnings": images[0].get("warnings")}
