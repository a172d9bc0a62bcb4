"""What OpenAI's Images API accepts of its GPT image models, and the words in which it refuses the rest.

Source: the types of the `openai` SDK 3.54, OpenAI's API reference, and refusals that users of the API report.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from starlette.responses import JSONResponse

DEFAULT_MODEL = "gpt-image-2"
MAX_PROMPT = 32_000
"""Longest prompt in characters."""

MAX_INPUTS = 16
"""Most images of one edit."""

_LONG_SIDE, _SHORT_SIDE = 3840, 2160
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
        """The answer, in OpenAI's error shape."""
        return JSONResponse({"error": self.error}, self.status)


@dataclass(frozen=True, slots=True)
class Model:
    """A model of the sandbox.

    Attributes:
        id: its name.
        makes: images or text.
        most: images in one call.
        answers_url: knows `response_format` and answers a URL unless told otherwise, as other providers' models do.
        qualities: the qualities it knows.
        makes_gif: whether it can make an image move; that is a preview.
    """

    id: str
    makes: Literal["images", "text"] = "images"
    most: int = 10
    answers_url: bool = False
    qualities: tuple[str, ...] = _STANDARD
    makes_gif: bool = False


MODELS = {
    model.id: model
    for model in (
        Model("gpt-image-2"),
        Model("gpt-image-2.6-sunburst", qualities=(*_STANDARD, "xhigh", "max"), makes_gif=True),
        Model("sandbox-single", most=1),
        Model("sandbox-url", answers_url=True, qualities=("standard", "hd", "auto")),
        Model("gpt-5.6-mini", makes="text"),
    )
}

_COMMON_FIELDS = frozenset({"prompt", "model", "n", "size", "quality", "user"})
_GIF_FIELDS = ("frame_count", "frame_duration_ms")
_GPT_FIELDS = _COMMON_FIELDS.union(
    ("background", "output_format", "output_compression", "moderation", "safety_identifier", "complexity", *_GIF_FIELDS)
)
_URL_FIELDS = _COMMON_FIELDS | {"style", "response_format"}


@dataclass(frozen=True, slots=True)
class Order:
    """A request for images that passed; `size` is None for `auto`, values are the ones in effect."""

    model: Model
    prompt: str
    n: int
    size: tuple[int, int] | None
    quality: str
    background: Literal["transparent", "opaque"]
    output_format: str
    response_format: str
    input_tokens: int


def check(fields: dict[str, Any]) -> Order:
    """Read the fields of a generation or an edit.

    Raises:
        Refusal: OpenAI would refuse them.
    """
    model = image_model(_text(fields, "model") or DEFAULT_MODEL)
    known = _URL_FIELDS if model.answers_url else _GPT_FIELDS
    for name in fields:
        if name not in known:
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
        said = "Compression less than 100 is not supported for PNG output format."
        raise Refusal(said, param="output_compression")
    if "forbidden" in prompt.lower():
        said = "Your request was rejected by the safety system. If you believe this is an error, contact the operator."
        raise Refusal(said, code="moderation_blocked", kind="image_generation_user_error")
    quality = _choice(fields, "quality", model.qualities, "auto")
    return Order(
        model=model,
        prompt=prompt,
        n=_integer(fields, "n", 1, model.most, 1),
        size=_size(_text(fields, "size") or "auto"),
        quality="medium" if quality == "auto" else quality,
        background="transparent" if background == "transparent" else "opaque",
        output_format=output_format,
        response_format=_choice(
            fields, "response_format", ("url", "b64_json"), "url" if model.answers_url else "b64_json"
        ),
        input_tokens=len(prompt) // 4 + 1,
    )


def image_model(name: str) -> Model:
    """The model of that name, if it makes images."""
    model = known_model(name)
    if model.makes != "images":
        raise Refusal(f"The model '{name}' cannot be used with the Images API.", param="model")
    return model


def known_model(name: str) -> Model:
    """The model of that name."""
    if name not in MODELS:
        said = f"The model '{name}' does not exist or you do not have access to it."
        raise Refusal(said, status=404, code="model_not_found", param="model")
    return MODELS[name]


def missing(name: str) -> Refusal:
    """A required parameter is not there."""
    return Refusal(f"Missing required parameter: '{name}'.", code="missing_required_parameter", param=name)


def _prompt(fields: dict[str, Any]) -> str:
    prompt = _text(fields, "prompt")
    if prompt is None:
        raise missing("prompt")
    if not prompt:
        said = (
            "Invalid 'prompt': empty string. Expected a string with minimum length 1, but got an empty string instead."
        )
        raise Refusal(said, code="empty_string", param="prompt")
    if len(prompt) > MAX_PROMPT:
        said = f"Invalid 'prompt': string too long. Expected a string with maximum length {MAX_PROMPT}"
        raise Refusal(f"{said}, but got {len(prompt)}.", code="string_above_max_length", param="prompt")
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
    if max(width, height) > _LONG_SIDE or min(width, height) > _SHORT_SIDE:
        said = f"Invalid size '{text}'. The maximum supported resolution is {_LONG_SIDE}x{_SHORT_SIDE}."
        raise Refusal(said, param="size")
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
        said = f"Invalid value: '{value}'. Supported values are: {listed}, and '{choices[-1]}'."
        raise Refusal(said, param=name)
    return value


def _integer(fields: dict[str, Any], name: str, least: int, most: int, default: int) -> int:
    value = fields.get(name)
    if value is None:
        return default
    if not isinstance(value, int) or isinstance(value, bool):
        raise _wrong_type(name, "an integer", value)
    if value > most:
        said = f"Invalid '{name}': integer above maximum value. Expected a value <= {most}, but got {value} instead."
        raise Refusal(said, code="integer_above_max_value", param=name)
    if value < least:
        said = f"Invalid '{name}': integer below minimum value. Expected a value >= {least}, but got {value} instead."
        raise Refusal(said, code="integer_below_min_value", param=name)
    return value


def _wrong_type(name: str, wanted: str, value: object) -> Refusal:
    kinds: dict[type, str] = {
        bool: "a boolean",
        str: "a string",
        int: "an integer",
        float: "a decimal",
        list: "an array",
    }
    got = kinds.get(type(value), "an object")
    said = f"Invalid type for '{name}': expected {wanted}, but got {got} instead."
    return Refusal(said, code="invalid_type", param=name)
