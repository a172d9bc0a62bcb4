"""How servers that are compatible with OpenAI's Images API differ from it, as their users report.

The models here are not in the sandbox's list of models. `sandbox-answer-…` return images under other names.
`sandbox-refuses-…` refuse every field except the prompt, the model and the number of images, in other words than
OpenAI. `sandbox-diffusion` takes the fields of diffusion models, makes one image per call, and the same one for the
same seed. `sandbox-sd-cpp` is stable-diffusion.cpp's server: it ignores every field that it does not know, has one seed
by default, and reads further arguments from the prompt.
"""

import json
import re
import secrets
from collections.abc import Callable
from typing import Any

from starlette.responses import JSONResponse, Response

Item = dict[str, str]
"""An image of OpenAI's `data`: `b64_json` or `url`."""

_PRIVATE_URL = "http://10.255.255.1/image.png"
_TASK = {"task_id": "0f3a", "status": "PENDING"}


def _content(item: Item) -> str:
    return item.get("url") or item["b64_json"]


ANSWERS: dict[str, Callable[[list[Item]], Response]] = {
    "sandbox-answer-images": lambda items: JSONResponse({"images": items}),
    "sandbox-answer-list": JSONResponse,
    "sandbox-answer-b64": lambda items: JSONResponse({"data": [_renamed(item, "b64") for item in items]}),
    "sandbox-answer-image": lambda items: JSONResponse({"image": _content(items[0])}),
    "sandbox-answer-output": lambda items: JSONResponse({"output": [_content(item) for item in items]}),
    "sandbox-answer-text": lambda items: JSONResponse(_content(items[0])),
    "sandbox-answer-private": lambda items: JSONResponse({"data": [{"url": _PRIVATE_URL} for _ in items]}),
    "sandbox-answer-task": lambda _items: JSONResponse(_TASK, 202),
}
"""Responses by the name of the model."""

FIXED_SIZES = {"gpt-image-1.5": ("1024x1024", "1536x1024", "1024x1536", "auto")}
"""Models of OpenAI that take only some sizes."""

DIFFUSION_MODELS = ("sandbox-diffusion",)
DIFFUSION_FIELDS = frozenset({"seed", "num_inference_steps", "negative_prompt", "aspect_ratio"})

PROMPT_ARGUMENT_MODELS = ("sandbox-sd-cpp",)
_SD_CPP_FIELDS = ("prompt", "model", "n", "size", "output_format", "output_compression")
_SD_CPP_SEED = 42
_PROMPT_ARGUMENTS = re.compile(r"<sd_cpp_extra_args>(.*?)</sd_cpp_extra_args>")

_BASIC_FIELDS = ("prompt", "model", "n")
_DOCUMENTATION = "To drop these, set `litellm.drop_params=True`."

REFUSALS: dict[str, Callable[[dict[str, Any]], str]] = {
    "sandbox-refuses-argument": lambda extra: f"Argument not supported: {next(iter(extra))}",
    "sandbox-refuses-backticks": lambda extra: f"`{next(iter(extra))}` is not supported by this model",
    "sandbox-refuses-setting": lambda extra: f"Setting '{next(iter(extra))}' is not supported by flux-1.1-pro",
    "sandbox-refuses-parameters": lambda extra: f"replicate does not support parameters: {extra}. {_DOCUMENTATION}",
    "sandbox-refuses-valid": lambda extra: f"{next(iter(extra))} is not a valid parameter for model flux-1.1-pro",
    "sandbox-refuses-format": lambda extra: (
        "invalid output_format, must be one of [png, jpeg]" if extra.get("output_format") == "webp" else ""
    ),
}
"""The messages of refusals by the name of the model, for the fields that it does not support; empty if it accepts them.
"""


def refusal_message(model: str, fields: dict[str, Any]) -> str:
    """Return why a model refuses the fields of a request; empty if it does not refuse them."""
    extra = {name: value for name, value in fields.items() if name not in _BASIC_FIELDS}
    return REFUSALS[model](extra) if extra and model in REFUSALS else ""


def prompt_arguments(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the fields as stable-diffusion.cpp's server reads them: of its own arguments, those of the first block.

    Raises:
        ValueError: the arguments are not a JSON object.
    """
    known = {name: value for name, value in fields.items() if name in _SD_CPP_FIELDS}
    prompt = str(fields.get("prompt", ""))
    block = _PROMPT_ARGUMENTS.search(prompt)
    arguments = json.loads(block[1]) if block else {}
    if not isinstance(arguments, dict):
        raise ValueError("the arguments are not an object")
    seed = arguments.get("seed", _SD_CPP_SEED)
    known["seed"] = seed if isinstance(seed, int) and seed >= 0 else secrets.randbelow(2**31)
    return known | {"prompt": _PROMPT_ARGUMENTS.sub("", prompt)}


def _renamed(item: Item, name: str) -> dict[str, Any]:
    return {name if key == "b64_json" else key: value for key, value in item.items()}
