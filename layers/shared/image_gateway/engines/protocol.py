"""What every engine is given and gives back."""

from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from image_gateway.models.fields import Size
from image_gateway.models.images import ModelInfo

OPENAI_ONLY = (
    "moderation",
    "input_fidelity",
    "user",
    "safety_identifier",
    "complexity",
    "frame_count",
    "frame_duration_ms",
)
"""Fields of a request that only the OpenAI API has a word for."""


@dataclass(frozen=True, slots=True)
class InputImage:
    """An image to edit, or a mask: validated and upright, without metadata."""

    data: bytes = field(repr=False)
    content_type: str
    width: int
    height: int

    @property
    def extension(self) -> str:
        """File name extension without the dot."""
        return self.content_type.removeprefix("image/").replace("jpeg", "jpg")


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageRequest:
    """One generation or edit, with the configuration's defaults filled in.

    A value of None means that nobody asked: the engine's own default holds. `asked` names the fields that the caller
    set, so that an engine can warn where the operator's parameters overrule them. `images` and `mask` are empty for a
    generation. A mask's transparent pixels are the ones to edit (OpenAI's convention); each engine turns that into
    its own.
    """

    job_id: str
    prompt: str = field(repr=False)
    model: str | None = None
    size: Size | None = None
    auto_size: bool = False
    n: int = 1
    steps: int | None = None
    negative_prompt: str | None = field(default=None, repr=False)
    seed: int | None = None
    quality: str | None = None
    background: str | None = None
    output_format: str | None = None
    output_compression: int | None = None
    style: str | None = None
    moderation: str | None = None
    input_fidelity: str | None = None
    user: str | None = field(default=None, repr=False)
    safety_identifier: str | None = field(default=None, repr=False)
    complexity: str | None = None
    frame_count: int | None = None
    frame_duration_ms: int | None = None
    requested: frozenset[str] = frozenset()
    images: tuple[InputImage, ...] = ()
    mask: InputImage | None = None


@dataclass(frozen=True, slots=True)
class EngineImage:
    """An image as the engine made it: encoded bytes of a format that the store accepts."""

    data: bytes = field(repr=False)
    seed: int | None = None
    revised_prompt: str | None = field(default=None, repr=False)


@dataclass(slots=True)
class EngineResult:
    """Images in the order asked for, and what was not done as asked.

    Attributes:
        images: the images.
        warnings: what was not done as asked.
        usage: token counts, where the engine tells them.
        told: `quality` and `background` of the images, where the engine tells them.
        settled: `output_format` and `output_compression`, where the gateway need not see to them any more.
    """

    images: list[EngineImage] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list, repr=False)
    usage: dict[str, Any] | None = None
    reported: dict[str, str] = field(default_factory=dict)
    handled: frozenset[str] = frozenset()


class Engine(Protocol):
    """An engine, made for one request's configuration.

    Every method raises `EngineError`, or `NotConfigured` naming the field that is missing.
    """

    async def generate(self, request: ImageRequest) -> EngineResult:
        """Make `request.n` images from a prompt. At least one, or an error."""

    async def edit(self, request: ImageRequest) -> EngineResult:
        """Make `request.n` images from `request.images` and a prompt. At least one, or an error."""

    async def models(self) -> list[ModelInfo]:
        """The models that can make images, asked of the engine itself."""

    async def verify(self) -> None:
        """Return if the engine answers as this kind of engine does and accepts the credentials."""


@runtime_checkable
class Cancellable(Protocol):
    """An engine that knows whose its runs are, so that anybody can stop one job's."""

    async def cancel(self, job_id: str) -> None:
        """Stop what this job runs on the engine, and nobody else's."""


class PromptWriter(Protocol):
    """An engine that can also rewrite text; found by `isinstance` of its `complete` method."""

    async def complete(self, *, model: str, system: str, user: str) -> str:
        """Answer `user` under the instruction `system` with the language model `model`."""


def overlay(
    body: dict[str, Any], params: dict[str, Any] | None, request: ImageRequest, names: dict[str, str]
) -> list[str]:
    """Lay the operator's `params` over a request body, in place, and say where that changes what the caller asked for.

    Args:
        body: the engine's own request fields.
        params: the operator's last word; a null leaves the field out, as some servers fail on nulls.
        request: gives the fields that the caller set.
        names: engine field → form field, where the two differ.

    Returns:
        One warning for each field of the caller's that was overruled.
    """
    warnings = []
    for name, value in (params or {}).items():
        requested = names.get(name, name)
        if requested in request.requested and body.get(name) != value:
            done = "left out" if value is None else f"set to {value!r}"
            warnings.append(f"{requested} was {done} by the operator's parameters")
        if value is None:
            body.pop(name, None)
        else:
            body[name] = value
    return warnings


def unsupported(request: ImageRequest, engine: str, *fields: str) -> list[str]:
    """One warning for each of `fields` that the caller set and `engine` has no word for."""
    return [f"{name} is not supported by {engine} and was ignored" for name in fields if name in request.requested]
