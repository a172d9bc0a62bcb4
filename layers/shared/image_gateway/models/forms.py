"""What callers send."""

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from image_gateway.ids import UUID
from image_gateway.models.fields import Engine, HttpUrlText, SizeText

MAX_PROMPT = 32_000
"""Longest prompt in characters, as the OpenAI Images API has it."""

IMAGE_EXAMPLE = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAIAAABLbSncAAAAFUlEQVR42mM8YaPBgA0wMeAAg1MCAO+wATws8x7v"
    "AAAAAElFTkSuQmCC"
)
"""The smallest image that can be tried: 8 by 8 red pixels."""

MAX_IMAGES = 16
"""Most images that one edit takes, as the OpenAI Images API has it."""


STORED_ID = re.compile(rf"{UUID}-[0-9]{{1,4}}|upload-{UUID}", re.IGNORECASE)
"""What the id of an image or an upload looks like."""

MAX_UNKNOWN_FIELDS = 20
"""Most unknown fields that are named to a caller, each with at most `MAX_UNKNOWN_NAME` characters."""

MAX_UNKNOWN_NAME = 64


def _one_to_sixteen(image: object) -> object:
    texts = image if isinstance(image, list) else [image]
    if not 1 <= len(texts) <= MAX_IMAGES or not all(isinstance(text, str) for text in texts):
        said = "must be one image or a list of 1 to {most}, each as a text"
        raise PydanticCustomError("image", said, {"most": MAX_IMAGES})
    return image


def _not_blank(text: str) -> str:
    if not text.strip():
        raise PydanticCustomError("prompt", "must not be empty: say what the image should show")
    return text


def _no_flag(value: object) -> object:
    """Pydantic would take true for 1."""
    if isinstance(value, bool):
        raise PydanticCustomError("int_type", "must be a whole number")
    return value


InputImages = Annotated[str | list[str], BeforeValidator(_one_to_sixteen)]
Prompt = Annotated[str, Field(min_length=1, max_length=MAX_PROMPT, repr=False), AfterValidator(_not_blank)]
Count = Annotated[int, Field(ge=1, le=10), BeforeValidator(_no_flag)]
Seed = Annotated[int, Field(ge=0, lt=2**64), BeforeValidator(_no_flag)]
Steps = Annotated[
    int | None,
    Field(ge=0, le=10_000, description="Diffusion steps, where the engine has them."),
    BeforeValidator(_no_flag),
]
Compression = Annotated[
    int | None,
    Field(ge=0, le=100, description="Quality of a jpeg or webp, 0 to 100."),
    BeforeValidator(_no_flag),
]
FrameCount = Annotated[
    int | None,
    Field(ge=1, le=1_000, description="Images of a gif, where the engine makes them move."),
    BeforeValidator(_no_flag),
]
FrameDuration = Annotated[
    int | None,
    Field(ge=1, le=1_000_000, description="How long each of them is shown, in milliseconds."),
    BeforeValidator(_no_flag),
]
ShortText = Annotated[str, Field(max_length=256)]
EndUser = Annotated[
    str | None,
    Field(max_length=512, repr=False, description="Whom of yours the image is for, where the engine has it."),
]


class Form(BaseModel):
    """A request body. Fields it does not know are ignored, and `unknown_fields` names them for a warning.

    Their values, which may be of any length and content, are forgotten.
    """

    model_config = ConfigDict(extra="allow", hide_input_in_errors=True)

    def model_post_init(self, _context: Any, /) -> None:
        """Keep only names of unknown fields."""
        if extra := self.model_extra:
            names = [name[:MAX_UNKNOWN_NAME] for name in sorted(extra)[:MAX_UNKNOWN_FIELDS]]
            extra.clear()
            extra.update(dict.fromkeys(names))

    def unknown_fields(self) -> list[str]:
        """Names of the fields that were sent and mean nothing here: at most `MAX_UNKNOWN_FIELDS`, cut where they are long."""
        return sorted(self.model_extra or {})

    def requested(self) -> dict[str, Any]:
        """The known fields that the caller set to something."""
        sent = self.model_fields_set & set(type(self).model_fields)
        return {name: value for name in sent if (value := getattr(self, name)) is not None}


class CreateImageForm(Form):
    """The body of a generation."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"prompt": "a lighthouse in a storm", "size": "1024x1024", "n": 1}]}
    )

    prompt: Prompt = Field(description="What the image should show.", examples=["a lighthouse in a storm"])
    model: ShortText | None = Field(None, description="Wins over the configured model.")
    size: SizeText | None = Field(None, description="WIDTHxHEIGHT in pixels, or auto.", examples=["1024x1024"])
    n: Count = Field(1, description="How many images.")
    steps: Steps = None
    negative_prompt: Annotated[str, Field(max_length=MAX_PROMPT)] | None = Field(
        None, repr=False, description="What the image should not show, where the engine has it."
    )
    seed: Seed | None = Field(None, description="For a repeatable image, where the engine has it.")
    quality: ShortText | None = Field(None, description="low, medium, high, auto, … as the engine has it.")
    background: ShortText | None = Field(None, description="transparent, opaque or auto.")
    output_format: ShortText | None = Field(None, description="png, webp or jpeg, whatever the engine makes.")
    output_compression: Compression = None
    style: ShortText | None = Field(None, description="As the engine has it.")
    moderation: ShortText | None = Field(None, description="low or auto, where the engine has it.")
    user: EndUser = None
    safety_identifier: EndUser = None
    complexity: ShortText | None = Field(None, description="low, medium or high: planning, where the engine has it.")
    frame_count: FrameCount = None
    frame_duration_ms: FrameDuration = None


class EditImageForm(Form):
    """The body of an edit."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"prompt": "make it night", "image": "01a20491-ab0f-7093-a163-39a8e11f4e95-0"}]}
    )

    image: InputImages = Field(
        repr=False,
        description="One image or up to 16: data URLs, base64, http(s) URLs, or ids of images and uploads.",
        examples=[IMAGE_EXAMPLE],
    )
    prompt: Prompt = Field(description="What is to change.", examples=["make it night"])
    model: ShortText | None = Field(None, description="Wins over the configured model.")
    size: SizeText | None = Field(None, description="WIDTHxHEIGHT in pixels, or auto.", examples=["1024x1024"])
    n: Count | None = Field(None, description="How many images; null means 1.")
    negative_prompt: Annotated[str, Field(max_length=MAX_PROMPT)] | None = Field(
        None, repr=False, description="What the image should not show, where the engine has it."
    )
    background: ShortText | None = Field(None, description="transparent, opaque or auto.")
    mask: str | None = Field(
        None, repr=False, description="As `image`, one, of the first image's size: transparent pixels are edited."
    )
    seed: Seed | None = Field(None, description="For a repeatable image, where the engine has it.")
    quality: ShortText | None = Field(None, description="low, medium, high, auto, … as the engine has it.")
    output_format: ShortText | None = Field(None, description="png, webp or jpeg, whatever the engine makes.")
    output_compression: Compression = None
    steps: Steps = None
    input_fidelity: ShortText | None = Field(None, description="high or low, where the engine has it.")
    moderation: ShortText | None = Field(None, description="low or auto, where the engine has it.")
    user: EndUser = None
    safety_identifier: EndUser = None
    complexity: ShortText | None = Field(None, description="low, medium or high: planning, where the engine has it.")
    frame_count: FrameCount = None
    frame_duration_ms: FrameDuration = None


class UploadForm(BaseModel):
    """An input to be uploaded."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    content_type: str = Field(
        pattern=r"^image/[a-z0-9.+-]{1,64}$", description="The file's type.", examples=["image/jpeg"]
    )
    bytes: int = Field(ge=1, le=50_000_000, description="The file's size in bytes; a larger file will be refused.")


class VerifyForm(BaseModel):
    """An engine to ask whether it can be used. What is left out is taken from the configuration."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    engine: Engine
    url: HttpUrlText | None = Field(None, description="The engine's base URL.")
    key: str | dict[str, Any] | None = Field(
        None, repr=False, description="Key or Basic auth; masked or absent: the configured one, for its own server."
    )
