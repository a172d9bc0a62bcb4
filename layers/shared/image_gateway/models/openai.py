"""Request and response bodies of the OpenAI channel.

Names and types are those of OpenAI's API reference and SDK (`openai` 3.54). `seed`, `negative_prompt`, `steps` and
`aspect_ratio` are additions of this gateway.
"""

from datetime import date
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from image_gateway.models.forms import CreateImageForm, EditImageForm, FormatName, InputImages, ShortText
from image_gateway.models.jobs import ResponseFormat

_IMAGE_FIELDS = ("image", "images")
_BOTH_FIELDS = object()
"""Stands for the input images of a request with both `image` and `images`, which is refused."""
_EXAMPLE_ID = "01a20491-ab0f-7093-a163-39a8e11f4e95-0"


def _example(example: dict[str, Any]) -> ConfigDict:
    return ConfigDict(json_schema_extra={"examples": [example]})


def _refuse_streaming(stream: bool) -> bool:
    if stream:
        raise PydanticCustomError("stream", "is not available here: leave it out, or send false")
    return stream


def _refuse_svg(output_format: object) -> object:
    """Refuse svg: it can contain scripts, which the bucket would serve."""
    if output_format == "svg":
        raise PydanticCustomError("output_format", "svg is not available here: choose png, jpeg or webp")
    return output_format


def _refuse_markup(_markup: object) -> None:
    raise PydanticCustomError("markup", "is not available here: leave it out, or say in the prompt what to change")


def _refuse_both(images: object) -> object:
    if images is _BOTH_FIELDS:
        raise PydanticCustomError("image", "is the same as images: send one of them")
    return images


class _OpenAIFields(BaseModel):
    """The fields of both request bodies that differ from the gateway's own forms. Null counts as absent.

    OpenAI's clients send null for fields that they leave to the API.
    """

    # Only the subclasses validate requests, so a validator of this class is never built.
    model_config = ConfigDict(defer_build=True)

    model: ShortText | None = Field(
        None,
        description="`engine/model` selects a configured engine; any other name is a model of the default engine.",
        examples=["gemini/gemini-3-pro-image"],
    )
    background: Literal["transparent", "opaque", "auto"] | None = Field(None, description="If the engine supports it.")
    output_format: Annotated[Literal["png", "jpeg", "webp", "gif"] | None, BeforeValidator(_refuse_svg), FormatName] = (
        Field(
            None,
            description="Images of another format are converted. Only an engine that makes gif images supports gif.",
        )
    )
    moderation: Literal["low", "auto"] | None = Field(None, description="If the engine supports it.")
    complexity: Literal["low", "medium", "high"] | None = Field(None, description="If the engine supports it.")
    response_format: ResponseFormat | None = Field(
        None,
        description="`b64_json`: base64 in the response. `url`: presigned URLs. Absent: as configured.",
        exclude=True,
    )
    stream: Annotated[bool, AfterValidator(_refuse_streaming)] = Field(
        default=False, description="Only false.", exclude=True
    )

    @model_validator(mode="before")
    @classmethod
    def _drop_nulls(cls, data: Any) -> Any:
        return {name: value for name, value in data.items() if value is not None} if isinstance(data, dict) else data


class ImageGenerateParams(_OpenAIFields, CreateImageForm):
    """The body of `POST /v1/images/generations`. A warning names OpenAI's parameters that the gateway ignores."""

    model_config = ConfigDict(
        **_example(
            {"prompt": "a lighthouse in a storm", "model": "gpt-image-2", "size": "1024x1024", "output_format": "webp"}
        ),
        defer_build=False,
    )


class ImageEditParams(_OpenAIFields, EditImageForm):
    """The body of `POST /v1/images/edits`, as JSON or as a form with files."""

    # Built when the first edit is read, because most functions never read one.
    model_config = ConfigDict(
        **_example({"prompt": "make it night", "images": [{"file_id": _EXAMPLE_ID}], "response_format": "url"}),
        defer_build=True,
    )

    image: Annotated[InputImages, BeforeValidator(_refuse_both)] = Field(
        repr=False,
        description="One image or up to 16. In a form: files. In JSON: data URLs, base64, http(s) URLs, or ids of "
        "images and uploads, each as a string, or as `image_url` or `file_id` of an object. `images` means the same.",
    )
    markup: Annotated[None, BeforeValidator(_refuse_markup)] = Field(None, exclude=True, description="Not available.")

    @model_validator(mode="before")
    @classmethod
    def _merge_image_fields(cls, data: Any) -> Any:
        """Accept `images`, OpenAI's name in JSON, as `image`."""
        if not isinstance(data, dict):
            return data
        images = [data[name] for name in _IMAGE_FIELDS if data.get(name) is not None]
        data = {name: value for name, value in data.items() if name not in _IMAGE_FIELDS}
        if images:
            data["image"] = images[0] if len(images) == 1 else _BOTH_FIELDS
        return data


class _ResponseModel(BaseModel):
    """A part of a response: built for the first response, not at every cold start."""

    model_config = ConfigDict(defer_build=True)


class OpenAIImage(_ResponseModel):
    """One image of a response."""

    b64_json: str | None = Field(None, repr=False, description="The encoded image in base64.")
    url: str | None = Field(None, repr=False, description="Presigned URL.")
    revised_prompt: str | None = Field(None, repr=False, description="The prompt that was used, if it was rewritten.")


class InputTokens(_ResponseModel):
    """Token counts by the kind of content."""

    text_tokens: int
    image_tokens: int


class Usage(_ResponseModel):
    """Token counts."""

    input_tokens: int
    output_tokens: int
    total_tokens: int
    input_tokens_details: InputTokens
    output_tokens_details: InputTokens | None = None


class ImagesResponse(_ResponseModel):
    """A response with images."""

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
    background: Literal["transparent", "opaque"] | None = Field(None, description="If the engine reports it.")
    output_format: str | None = Field(None, description="Format of the first image, detected from its content.")
    quality: str | None = Field(None, description="If the engine reports it.")
    size: str | None = Field(None, description="WIDTHxHEIGHT of the first image, in pixels.")
    usage: Usage | None = Field(None, description="If the engine counts tokens.")
    warnings: list[str] | None = Field(None, description="What was not done as requested.")


class OpenAIModel(BaseModel):
    """A model of an engine."""

    id: str = Field(description="The name of the model in requests.")
    object: Literal["model"] = "model"
    created: int = Field(0, description="Always 0, because the time is unknown.")
    owned_by: str = Field(description="The engine of the model.")
    ends_on: date | None = Field(
        None, exclude_if=lambda day: day is None, description="The end that the model's provider has announced."
    )


class OpenAIModels(BaseModel):
    """All models of all configured engines."""

    model_config = _example(
        {
            "object": "list",
            "data": [{"id": "comfyui/flux-dev", "object": "model", "created": 0, "owned_by": "comfyui"}],
        }
    )

    object: Literal["list"] = "list"
    data: list[OpenAIModel]


class OpenAIProblem(_ResponseModel):
    """The cause of an error."""

    message: str
    type: str = Field(description="`invalid_request_error`, `rate_limit_error`, `server_error`, …")
    param: str | None = Field(None, description="The field with the error.")
    code: str = Field(description="The same code as in problem documents.")


class OpenAIError(_ResponseModel):
    """An error in the format of the OpenAI API."""

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
