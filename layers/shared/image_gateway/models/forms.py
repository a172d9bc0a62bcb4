"""Request bodies of the gateway's own routes, of messages and of request files."""

import re
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError, to_json

from image_gateway.ids import UUID
from image_gateway.models.fields import Engine, HttpUrlText
from image_gateway.models.sizes import AspectRatioText, SizeText

MAX_PROMPT = 32_000
"""Longest prompt in characters, as in the OpenAI Images API."""

MAX_PROMPT_BYTES = 140_000
"""Longest prompt in bytes of JSON. Only one with thousands of control characters is longer. A job's record holds two of
them, and must fit into the table."""

MAX_IMAGES = 16
"""Most input images of one edit, as in the OpenAI Images API."""

IMAGE_EXAMPLE = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAIAAABLbSncAAAAFUlEQVR42mM8YaPBgA0wMeAAg1MCAO+wATws8x7v"
    "AAAAAElFTkSuQmCC"
)
"""An image of 8 by 8 red pixels: the smallest that engines accept."""

STORED_ID = re.compile(rf"{UUID}-[0-9]{{1,4}}|upload-{UUID}", re.IGNORECASE)
"""The form of the id of an image or an upload."""

MAX_UNKNOWN_FIELDS = 20
"""Most unknown fields that a warning names, each with at most `MAX_UNKNOWN_NAME` characters."""

MAX_UNKNOWN_NAME = 64


def _check_image_count(image: object) -> object:
    texts = image if isinstance(image, list) else [image]
    if not 1 <= len(texts) <= MAX_IMAGES or not all(isinstance(text, str) for text in texts):
        message = "must be a string with one image, or a list of 1 to {max_images} of them"
        raise PydanticCustomError("image", message, {"max_images": MAX_IMAGES})
    return image


def _check_not_blank(text: str) -> str:
    if not text.strip():
        raise PydanticCustomError("prompt", "must not be empty: say what the image should show")
    return text


def _check_json_size(text: str) -> str:
    # A character takes at most six bytes, so a short text is not encoded for this.
    if 6 * len(text) > MAX_PROMPT_BYTES and len(to_json(text)) > MAX_PROMPT_BYTES:
        message = "must be at most {max_bytes} bytes as JSON, in which a control character takes six"
        raise PydanticCustomError("prompt", message, {"max_bytes": MAX_PROMPT_BYTES})
    return text


def _refuse_boolean(value: object) -> object:
    """Refuse true and false, which pydantic would accept as 1 and 0."""
    if isinstance(value, bool):
        raise PydanticCustomError("int_type", "must be a whole number")
    return value


def _random_seed(value: object) -> object:
    """Return None, which means random, for -1, with which AUTOMATIC1111 and its clients ask for a random seed."""
    return None if value in (-1, "-1") and not isinstance(value, bool) else value


def _format_name(name: object) -> object:
    """Return a format's name as the engines write it: in lower case, and `jpeg` rather than `jpg`."""
    if not isinstance(name, str):
        return name
    lower = name.strip().lower()
    return "jpeg" if lower == "jpg" else lower


def _image_text(image: object) -> object:
    """Return the string for an image: itself, or the `image_url` or `file_id` of an object, as OpenAI's JSON has it.

    `image_url` may be an object too, with a `url`, as in OpenAI's chat messages.
    """
    if not isinstance(image, dict):
        return image
    given = {name: image[name] for name in ("image_url", "file_id") if image.get(name) is not None}
    if isinstance(url := given.get("image_url"), dict):
        given["image_url"] = url.get("url")
    texts = list(given.values())
    if len(texts) != 1 or not isinstance(texts[0], str):
        raise PydanticCustomError("image", "must have either image_url or file_id, as a string")
    if "file_id" in given and not STORED_ID.fullmatch(texts[0].strip()):
        raise PydanticCustomError("image", "file_id must be the id of an image or upload of this gateway")
    return texts[0]


def _image_texts(images: object) -> object:
    return [_image_text(image) for image in images] if isinstance(images, list) else _image_text(images)


# Validators in front of a type run from the last to the first.
InputImages = Annotated[str | list[str], BeforeValidator(_check_image_count), BeforeValidator(_image_texts)]
InputMask = Annotated[str | None, BeforeValidator(_image_text)]
FormatName = BeforeValidator(_format_name)
"""Reads a format's name in any spelling."""
Prompt = Annotated[
    str,
    Field(min_length=1, max_length=MAX_PROMPT, repr=False),
    AfterValidator(_check_not_blank),
    AfterValidator(_check_json_size),
]
NegativePrompt = Annotated[str, Field(max_length=MAX_PROMPT), AfterValidator(_check_json_size)]
MAX_END_USER = 512
"""Longest name or id of an end user, in characters."""
Count = Annotated[int, Field(ge=1, le=10), BeforeValidator(_refuse_boolean)]
Seed = Annotated[
    int | None,
    Field(ge=0, lt=2**64, description="For a repeatable image, if the engine supports it. -1 means a random one."),
    BeforeValidator(_random_seed),
    BeforeValidator(_refuse_boolean),
]
Steps = Annotated[
    int | None,
    Field(ge=0, le=10_000, description="Diffusion steps, if the engine has them."),
    BeforeValidator(_refuse_boolean),
]
Compression = Annotated[
    int | None,
    Field(ge=0, le=100, description="Quality of a jpeg or webp, 0 to 100."),
    BeforeValidator(_refuse_boolean),
]
FrameCount = Annotated[
    int | None,
    Field(ge=1, le=1_000, description="Number of images in an animated gif, if the engine makes animations."),
    BeforeValidator(_refuse_boolean),
]
FrameDuration = Annotated[
    int | None,
    Field(ge=1, le=1_000_000, description="How long each image of an animated gif is shown, in milliseconds."),
    BeforeValidator(_refuse_boolean),
]
ShortText = Annotated[str, Field(max_length=256)]
EndUser = Annotated[
    str | None,
    Field(
        max_length=MAX_END_USER,
        repr=False,
        description="Your end user who requests the image, if the engine supports it.",
    ),
]


END_USER_FIELDS: Final = ("safety_identifier", "user")
"""The fields of requests that name an end user, the one that comes first first."""


class Form(BaseModel):
    """A request body. Unknown fields are ignored, and `unknown_fields` returns their names for a warning.

    The values of unknown fields, which may be of any length and content, are not kept.
    """

    model_config = ConfigDict(extra="allow", hide_input_in_errors=True)

    def model_post_init(self, _context: Any, /) -> None:
        """Keep only the names of unknown fields."""
        if extra := self.model_extra:
            names = [name[:MAX_UNKNOWN_NAME] for name in sorted(extra)[:MAX_UNKNOWN_FIELDS]]
            extra.clear()
            extra.update(dict.fromkeys(names))

    def unknown_fields(self) -> list[str]:
        """Return the names of the unknown fields: at most `MAX_UNKNOWN_FIELDS`, and long names are cut."""
        return sorted(self.model_extra or {})

    def requested(self) -> dict[str, Any]:
        """Return the known fields that the caller sent with a value other than null."""
        sent = self.model_fields_set & set(type(self).model_fields)
        return {name: value for name in sent if (value := getattr(self, name)) is not None}


class ImageForm(Form):
    """The fields that generations and edits share."""

    # Only the subclasses validate requests, so a validator of this class is never built.
    model_config = ConfigDict(defer_build=True)

    prompt: Prompt
    model: ShortText | None = Field(None, description="Overrides the configured model.")
    size: SizeText | None = Field(
        None,
        description="WIDTHxHEIGHT in pixels, a ratio such as 16:9, 1K, 2K, 4K or auto.",
        examples=["1024x1024"],
    )
    aspect_ratio: AspectRatioText | None = Field(
        None, description="WIDTH:HEIGHT, instead of a size in pixels.", examples=["16:9"]
    )
    steps: Steps = None
    negative_prompt: NegativePrompt | None = Field(
        None, repr=False, description="What the image should not show, if the engine supports it."
    )
    seed: Seed = None
    quality: ShortText | None = Field(None, description="low, medium, high, auto, or another value of the engine.")
    background: ShortText | None = Field(None, description="transparent, opaque or auto.")
    output_format: Annotated[ShortText | None, FormatName] = Field(
        None, description="png, webp or jpeg. Images of another format are converted."
    )
    output_compression: Compression = None
    moderation: ShortText | None = Field(None, description="low or auto, if the engine supports it.")
    user: EndUser = None
    safety_identifier: EndUser = None
    complexity: ShortText | None = Field(
        None, description="How much planning: low, medium or high, if the engine supports it."
    )
    frame_count: FrameCount = None
    frame_duration_ms: FrameDuration = None


class CreateImageForm(ImageForm):
    """The body of a generation."""

    model_config = ConfigDict(
        defer_build=False,
        json_schema_extra={"examples": [{"prompt": "a lighthouse in a storm", "size": "1024x1024", "n": 1}]},
    )

    prompt: Prompt = Field(description="What the image should show.", examples=["a lighthouse in a storm"])
    n: Count = Field(1, description="Number of images.")
    style: ShortText | None = Field(None, description="A value of the engine.")


class EditImageForm(ImageForm):
    """The body of an edit."""

    model_config = ConfigDict(
        defer_build=False,
        json_schema_extra={
            "examples": [{"prompt": "make it night", "image": "01a20491-ab0f-7093-a163-39a8e11f4e95-0"}]
        },
    )

    image: InputImages = Field(
        repr=False,
        description="One image or up to 16: data URLs, base64, http(s) URLs, or ids of images and uploads.",
        examples=[IMAGE_EXAMPLE],
    )
    prompt: Prompt = Field(description="What to change.", examples=["make it night"])
    n: Count | None = Field(None, description="Number of images; null means 1.")
    mask: InputMask = Field(
        None,
        repr=False,
        description="One image, given as in `image`, with the size of the first input image. "
        "Its transparent pixels are edited.",
    )
    input_fidelity: ShortText | None = Field(None, description="high or low, if the engine supports it.")


class UploadForm(BaseModel):
    """An input image to upload."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    content_type: str = Field(
        pattern=r"^image/[a-z0-9.+-]{1,64}$", description="The file's content type.", examples=["image/jpeg"]
    )
    bytes: int = Field(ge=1, le=50_000_000, description="The file's size in bytes; a larger file is refused.")


class VerifyForm(BaseModel):
    """An engine whose server and credentials to check. Absent fields are taken from the configuration."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    engine: Engine
    url: HttpUrlText | None = Field(None, description="The engine's base URL.")
    key: str | dict[str, Any] | None = Field(
        None,
        repr=False,
        description="API key or Basic auth; masked or absent: the configured one, only for the configured server.",
    )
    edit: bool = Field(default=False, description="Checks the settings for edits, where the engine has such.")
