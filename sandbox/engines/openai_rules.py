"""The rules of OpenAI's Images API for its GPT image models, with OpenAI's error messages.

Sources: the types of the `openai` SDK 3.54, OpenAI's API reference, and errors that users of the API report.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from starlette.responses import JSONResponse

from sandbox.engines.openai_compatible import (
    ANSWERS,
    DIFFUSION_FIELDS,
    DIFFUSION_MODELS,
    FIXED_SIZES,
    PROMPT_ARGUMENT_MODELS,
    REFUSALS,
    prompt_arguments,
    refusal_message,
)

DEFAULT_MODEL = "gpt-image-2"
MAX_PROMPT = 32_000
"""Maximum length of a prompt, in characters."""

MAX_INPUTS = 16
"""Maximum number of input images of an edit."""

_MAX_LONG_SIDE, _MAX_SHORT_SIDE = 3840, 2160
_STANDARD = ("low", "medium", "high", "auto")


class Refusal(Exception):
    """A request that OpenAI would refuse, with OpenAI's status, message, type, param and code."""

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        code: str | None = "invalid_value",
        param: str | None = None,
        kind: str = "invalid_request_error",
    ) -> None:
        super().__init__(message)
        self.status = status
        self.error = {"message": message, "type": kind, "param": param, "code": code}

    def response(self) -> JSONResponse:
        """Return the HTTP response in OpenAI's error format."""
        return JSONResponse({"error": self.error}, self.status)


@dataclass(frozen=True, slots=True)
class Model:
    """A model of the sandbox.

    Attributes:
        id: its name.
        makes: images or text.
        max_n: maximum number of images in one call.
        returns_url: supports `response_format` and returns a URL by default, as other providers' models do.
        qualities: the supported values of `quality`.
        makes_gif: whether it supports animated images, a preview feature.
        listed: whether it is in the list of models.
    """

    id: str
    makes: Literal["images", "text"] = "images"
    max_n: int = 10
    returns_url: bool = False
    qualities: tuple[str, ...] = _STANDARD
    makes_gif: bool = False
    listed: bool = True


MODELS = {
    model.id: model
    for model in (
        Model("gpt-image-2"),
        Model("gpt-image-1.5"),
        Model("gpt-image-2.6-sunburst", qualities=(*_STANDARD, "xhigh", "max"), makes_gif=True),
        Model("sandbox-single", max_n=1),
        Model("sandbox-url", returns_url=True, qualities=("standard", "hd", "auto")),
        Model("gpt-5.6-mini", makes="text"),
        *(Model(name, returns_url=True, listed=False) for name in ANSWERS),
        *(Model(name, listed=False) for name in REFUSALS),
        *(Model(name, max_n=1, listed=False) for name in DIFFUSION_MODELS),
        *(Model(name, listed=False) for name in PROMPT_ARGUMENT_MODELS),
    )
}

_COMMON_FIELDS = frozenset({"prompt", "model", "n", "size", "quality", "user"})
_GIF_FIELDS = ("frame_count", "frame_duration_ms")
_GPT_FIELDS = _COMMON_FIELDS.union(
    ("background", "output_format", "output_compression", "moderation", "safety_identifier", "complexity", *_GIF_FIELDS)
)
_URL_FIELDS = _COMMON_FIELDS | {"style", "response_format"}


@dataclass(frozen=True, slots=True)
class CheckedRequest:
    """A valid request for images, with defaults filled in. `size` is None for `auto`."""

    model: Model
    prompt: str
    n: int
    size: tuple[int, int] | None
    quality: str
    background: Literal["transparent", "opaque"]
    output_format: str
    response_format: str
    input_tokens: int
    seed: int | None = None


def check_fields(fields: dict[str, Any]) -> CheckedRequest:
    """Check the fields of a generation or an edit.

    Raises:
        Refusal: OpenAI would refuse the request.
    """
    model = image_model(_text(fields, "model") or DEFAULT_MODEL)
    fields = _read_prompt_arguments(model, fields)
    if message := refusal_message(model.id, fields):
        raise Refusal(message, code=None)
    supported = _URL_FIELDS if model.returns_url else _GPT_FIELDS
    if model.id in FIXED_SIZES:
        _choice(fields, "size", FIXED_SIZES[model.id], "auto")
    if model.id in (*DIFFUSION_MODELS, *PROMPT_ARGUMENT_MODELS):
        supported |= DIFFUSION_FIELDS
    for name in fields:
        if name not in supported:
            raise Refusal(f"Unknown parameter: '{name}'.", code="unknown_parameter", param=name)
    prompt = _prompt(fields)
    for name in ("user", "safety_identifier"):
        _text(fields, name)
    _choice(fields, "moderation", ("low", "auto"), "auto")
    _choice(fields, "style", ("vivid", "natural"), "vivid")
    background = _choice(fields, "background", ("transparent", "opaque", "auto"), "auto")
    _choice(fields, "complexity", ("low", "medium", "high"), "medium")
    formats = ("png", "webp", "jpeg", "gif") if model.makes_gif else ("png", "webp", "jpeg")
    output_format = _choice(fields, "output_format", formats, "png")
    _check_frames(fields, output_format)
    if background == "transparent" and output_format == "jpeg":
        raise Refusal("Transparent background is not supported for JPEG output format.", param="background")
    if _integer(fields, "output_compression", 0, 100, 100) < 100 and output_format == "png":
        message = "Compression less than 100 is not supported for PNG output format."
        raise Refusal(message, param="output_compression")
    if "forbidden" in prompt.lower():
        message = (
            "Your request was rejected by the safety system. If you believe this is an error, contact the operator."
        )
        raise Refusal(message, code="moderation_blocked", kind="image_generation_user_error")
    quality = _choice(fields, "quality", model.qualities, "auto")
    return CheckedRequest(
        model=model,
        prompt=prompt,
        n=_integer(fields, "n", 1, model.max_n, 1),
        size=_size(_text(fields, "size") or "auto"),
        quality="medium" if quality == "auto" else quality,
        background="transparent" if background == "transparent" else "opaque",
        output_format=output_format,
        response_format=_choice(
            fields, "response_format", ("url", "b64_json"), "url" if model.returns_url else "b64_json"
        ),
        input_tokens=len(prompt) // 4 + 1,
        seed=fields.get("seed"),
    )


def _read_prompt_arguments(model: Model, fields: dict[str, Any]) -> dict[str, Any]:
    try:
        return prompt_arguments(fields) if model.id in PROMPT_ARGUMENT_MODELS else fields
    except ValueError:
        raise Refusal("invalid sd_cpp_extra_args", code=None) from None


def image_model(name: str) -> Model:
    """Return the model with this name.

    Raises:
        Refusal: there is none, or it does not make images.
    """
    model = known_model(name)
    if model.makes != "images":
        raise Refusal(f"The model '{name}' cannot be used with the Images API.", param="model")
    return model


def known_model(name: str) -> Model:
    """Return the model with this name.

    Raises:
        Refusal: there is none.
    """
    if name not in MODELS:
        message = f"The model '{name}' does not exist or you do not have access to it."
        raise Refusal(message, status=404, code="model_not_found", param="model")
    return MODELS[name]


def missing_parameter(name: str) -> Refusal:
    """Return the error for a missing required parameter."""
    return Refusal(f"Missing required parameter: '{name}'.", code="missing_required_parameter", param=name)


def _prompt(fields: dict[str, Any]) -> str:
    prompt = _text(fields, "prompt")
    if prompt is None:
        raise missing_parameter("prompt")
    if not prompt:
        message = (
            "Invalid 'prompt': empty string. Expected a string with minimum length 1, but got an empty string instead."
        )
        raise Refusal(message, code="empty_string", param="prompt")
    if len(prompt) > MAX_PROMPT:
        message = f"Invalid 'prompt': string too long. Expected a string with maximum length {MAX_PROMPT}"
        raise Refusal(f"{message}, but got {len(prompt)}.", code="string_above_max_length", param="prompt")
    return prompt


def _check_frames(fields: dict[str, Any], output_format: str) -> None:
    for name in _GIF_FIELDS:
        if name in fields and output_format != "gif":
            raise Refusal(f"'{name}' is only supported with output_format=gif.", param=name)
    _integer(fields, "frame_count", 2, 16, 9)
    _integer(fields, "frame_duration_ms", 1, 10**9, 200)


def _size(text: str) -> tuple[int, int] | None:
    if text == "auto":
        return None
    sides = text.split("x")
    if len(sides) != 2 or not all(side.isascii() and side.isdigit() and 1 <= len(side) <= 6 for side in sides):
        raise Refusal(f"Invalid size '{text}'. Expected 'auto' or WIDTHxHEIGHT, such as '1024x1024'.", param="size")
    width, height = map(int, sides)
    if width % 16 or height % 16 or not width or not height:
        raise Refusal(f"Invalid size '{text}'. Width and height must both be divisible by 16.", param="size")
    if max(width, height) > 3 * min(width, height):
        raise Refusal(f"Invalid size '{text}'. The aspect ratio must be between 1:3 and 3:1.", param="size")
    if max(width, height) > _MAX_LONG_SIDE or min(width, height) > _MAX_SHORT_SIDE:
        message = f"Invalid size '{text}'. The maximum supported resolution is {_MAX_LONG_SIDE}x{_MAX_SHORT_SIDE}."
        raise Refusal(message, param="size")
    return width, height


def _text(fields: dict[str, Any], name: str) -> str | None:
    value = fields.get(name)
    if value is not None and not isinstance(value, str):
        raise _wrong_type(name, "a string", value)
    return value


def _choice(fields: dict[str, Any], name: str, choices: Iterable[str], default: str) -> str:
    value = _text(fields, name)
    if value is None:
        return default
    choices = list(choices)
    if value not in choices:
        listed = ", ".join(f"'{choice}'" for choice in choices[:-1])
        message = f"Invalid value: '{value}'. Supported values are: {listed}, and '{choices[-1]}'."
        raise Refusal(message, param=name)
    return value


def _integer(fields: dict[str, Any], name: str, minimum: int, maximum: int, default: int) -> int:
    value = fields.get(name)
    if value is None:
        return default
    if not isinstance(value, int) or isinstance(value, bool):
        raise _wrong_type(name, "an integer", value)
    if value > maximum:
        message = (
            f"Invalid '{name}': integer above maximum value. Expected a value <= {maximum}, but got {value} instead."
        )
        raise Refusal(message, code="integer_above_max_value", param=name)
    if value < minimum:
        message = (
            f"Invalid '{name}': integer below minimum value. Expected a value >= {minimum}, but got {value} instead."
        )
        raise Refusal(message, code="integer_below_min_value", param=name)
    return value


def _wrong_type(name: str, expected: str, value: object) -> Refusal:
    kinds: dict[type, str] = {
        bool: "a boolean",
        str: "a string",
        int: "an integer",
        float: "a decimal",
        list: "an array",
    }
    actual = kinds.get(type(value), "an object")
    message = f"Invalid type for '{name}': expected {expected}, but got {actual} instead."
    return Refusal(message, code="invalid_type", param=name)
