"""What callers of the OpenAI Images API send and get.

Names and types are those of OpenAI's API reference and SDK (`openai` 3.54), and `seed`, `negative_prompt` and `steps`.
"""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from image_gateway.models.forms import STORED_ID, CreateImageForm, EditImageForm, InputImages, ShortText
from image_gateway.models.jobs import ResponseFormat

_INPUTS = ("image", "images")
_TWICE = object()
_IMAGE = "01a20491-ab0f-7093-a163-39a8e11f4e95-0"


def _example(example: dict[str, Any]) -> ConfigDict:
    """For the documentation."""
    return ConfigDict(json_schema_extra={"examples": [example]})


def _not_streamed(wanted: bool) -> bool:
    if wanted:
        raise PydanticCustomError("stream", "is not available here: leave it out, or send false")
    return wanted


def _no_drawing(format: object) -> object:
    """A drawing may hold programs, which the bucket would serve."""
    if format == "svg":
        raise PydanticCustomError("output_format", "svg is not available here: choose png, jpeg or webp")
    return format


def _no_markup(_value: object) -> None:
    raise PydanticCustomError("markup", "is not available here: leave it out, or say in the prompt what is to change")


def _without_nulls(data: Any) -> Any:
    """OpenAI's clients send null for what they leave to the API."""
    return {name: value for name, value in data.items() if value is not None} if isinstance(data, dict) else data


def _text_of(image: object) -> object:
    """The text that stands for an image: itself, or as OpenAI's JSON wraps it."""
    if not isinstance(image, dict):
        return image
    given = [image[name] for name in ("image_url", "file_id") if image.get(name) is not None]
    if len(given) != 1 or not isinstance(given[0], str):
        raise PydanticCustomError("image", "must have either image_url or file_id, as a text")
    if "file_id" in image and not STORED_ID.fullmatch(given[0].strip()):
        raise PydanticCustomError("image", "file_id must be the id of an image or upload of this gateway")
    return given[0]


def _texts(images: object) -> object:
    if images is _TWICE:
        raise PydanticCustomError("image", "is the same as images: send one of them")
    return [_text_of(image) for image in images] if isinstance(images, list) else _text_of(images)


Model = Annotated[
    ShortText | None,
    Field(
        description="`engine/model` for an engine that is configured; any other name is one of the configured engine.",
        examples=["gemini/gemini-3-pro-image"],
    ),
]
Background = Annotated[Literal["transparent", "opaque", "auto"] | None, Field(description="Where the engine has it.")]
Format = Annotated[
    Literal["png", "jpeg", "webp", "gif"] | None,
    Field(description="Whatever the engine makes: it is converted. Except gif, which is for an engine that makes it."),
    BeforeValidator(_no_drawing),
]
Complexity = Annotated[Literal["low", "medium", "high"] | None, Field(description="Where the engine has it.")]
Moderation = Annotated[Literal["low", "auto"] | None, Field(description="Where the engine has it.")]
Answer = Annotated[
    ResponseFormat,
    Field(description="`b64_json`: base64 in the answer. `url`: presigned URLs.", exclude=True),
]
Stream = Annotated[bool, Field(description="Only false.", exclude=True), AfterValidator(_not_streamed)]


class ImageGenerateParams(CreateImageForm):
    """The body of `POST /v1/images/generations`. Fields of OpenAI's that mean nothing here are named in a warning."""

    model_config = _example(
        {"prompt": "a lighthouse in a storm", "model": "gpt-image-2", "size": "1024x1024", "output_format": "webp"}
    )

    model: Model = None
    background: Background = None
    output_format: Format = None
    moderation: Moderation = None
    complexity: Complexity = None
    response_format: Answer = "b64_json"
    stream: Stream = False

    @model_validator(mode="before")
    @classmethod
    def _drop_nulls(cls, data: Any) -> Any:
        return _without_nulls(data)


class ImageEditParams(EditImageForm):
    """The body of `POST /v1/images/edits`, as JSON or as a form with files."""

    # Built when the first edit is read: most functions never read one.
    model_config = ConfigDict(
        **_example({"prompt": "make it night", "images": [{"file_id": _IMAGE}], "response_format": "url"}),
        defer_build=True,
    )

    image: Annotated[InputImages, BeforeValidator(_texts)] = Field(
        repr=False,
        description="One image or up to 16: files in a form; in JSON data URLs, base64, http(s) URLs, or ids of "
        "images and uploads, each as a text or as `image_url` or `file_id` of an object. `images` is the same.",
    )
    mask: Annotated[str | None, BeforeValidator(_text_of)] = Field(
        None, repr=False, description="As `image`, one, of the first image's size: transparent pixels are edited."
    )
    markup: Annotated[None, BeforeValidator(_no_markup)] = Field(None, exclude=True, description="Not available.")
    model: Model = None
    background: Background = None
    output_format: Format = None
    moderation: Moderation = None
    complexity: Complexity = None
    response_format: Answer = "b64_json"
    stream: Stream = False

    @model_validator(mode="before")
    @classmethod
    def _one_list_of_images(cls, data: Any) -> Any:
        """`images`, as OpenAI names it in JSON, is `image`; both hold texts or objects that hold one."""
        if not isinstance(data, dict):
            return data
        data = _without_nulls(data)
        given = {name: data.pop(name) for name in _INPUTS if name in data}
        if given:
            data["image"] = next(iter(given.values())) if len(given) == 1 else _TWICE
        return data


class _Answer(BaseModel):
    """A part of an answer: prepared when the first one is given, and not at every cold start."""

    model_config = ConfigDict(defer_build=True)


class OpenAIImage(_Answer):
    """One image of an answer."""

    b64_json: str | None = Field(None, repr=False, description="The encoded image in base64.")
    url: str | None = Field(None, repr=False, description="Presigned URL.")
    revised_prompt: str | None = Field(None, repr=False, description="Where the prompt was rewritten.")


class InputTokens(_Answer):
    """Tokens by what they stand for."""

    text_tokens: int
    image_tokens: int


class Usage(_Answer):
    """Token counts."""

    input_tokens: int
    output_tokens: int
    total_tokens: int
    input_tokens_details: InputTokens
    output_tokens_details: InputTokens | None = None


class ImagesResponse(_Answer):
    """An answer with images."""

    model_config = _example(
        {
            "created": 1795344000,
            "data": [{"b64_json": "iVBORw0KGgo…"}],
            "background": "opaque",
            "output_format": "png",
            "quality": "medium",
            "size": "1024x1024",
            "usage": {
                "input_tokens": 10,
                "output_tokens": 1056,
                "total_tokens": 1066,
                "input_tokens_details": {"text_tokens": 10, "image_tokens": 0},
            },
            "warnings": ["seed is not supported by openai and was ignored"],
        }
    )

    created: int = Field(description="Seconds since 1970.")
    data: list[OpenAIImage]
    background: Literal["transparent", "opaque"] | None = Field(None, description="Where the engine tells.")
    output_format: str | None = Field(None, description="Of the first image, told by its bytes.")
    quality: str | None = Field(None, description="Where the engine tells.")
    size: str | None = Field(None, description="WIDTHxHEIGHT of the first image, in pixels.")
    usage: Usage | None = Field(None, description="Where the engine counts tokens.")
    warnings: list[str] | None = Field(None, description="What was not done as asked.")


class OpenAIModel(BaseModel):
    """A model."""

    id: str = Field(description="What a request names it by.")
    object: Literal["model"] = "model"
    created: int = Field(0, description="Not known, so 0.")
    owned_by: str = Field(description="Its engine.")


class OpenAIModels(BaseModel):
    """All models of all engines that are configured."""

    model_config = _example(
        {
            "object": "list",
            "data": [{"id": "comfyui/flux-dev", "object": "model", "created": 0, "owned_by": "comfyui"}],
        }
    )

    object: Literal["list"] = "list"
    data: list[OpenAIModel]


class OpenAIProblem(_Answer):
    """What is wrong."""

    message: str
    type: str = Field(description="`invalid_request_error`, `rate_limit_error`, `server_error`, …")
    param: str | None = Field(None, description="The field at fault.")
    code: str = Field(description="As in problem documents.")


class OpenAIError(_Answer):
    """An error as the OpenAI API answers it."""

    model_config = _example(
        {
            "error": {
                "message": "stream: is not available here: leave it out, or send false",
                "type": "invalid_request_error",
                "param": "stream",
                "code": "invalid_request",
            }
        }
    )

    error: OpenAIProblem
