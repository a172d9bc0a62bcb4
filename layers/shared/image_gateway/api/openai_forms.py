"""Request bodies of the OpenAI channel's edits: JSON, or a form with files."""

import base64
import json
import re
from collections.abc import Iterable
from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError

from image_gateway.api.multipart import Part, is_form, is_json, read_form
from image_gateway.api.problems import UNREADABLE_BODY
from image_gateway.errors import InvalidRequest
from image_gateway.models.openai import ImageEditParams

_IMAGES = re.compile(r"images?(\[\d*\])?")
_TEXTS = frozenset(ImageEditParams.model_fields) - {"image", "mask"}
_SCHEMA = "#/components/schemas/ImageEditParams"

EDIT_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["prompt", "image"],
                    "properties": {
                        **{name: {"$ref": f"{_SCHEMA}/properties/{name}"} for name in ImageEditParams.model_fields},
                        "image": {
                            "type": "array",
                            "items": {"type": "string", "format": "binary"},
                            "description": "1 to 16 files, each as a part `image` or `image[]`.",
                        },
                        "mask": {
                            "type": "string",
                            "format": "binary",
                            "description": "A file as large as the first image. Its transparent pixels are edited.",
                        },
                    },
                },
                "example": {"prompt": "make it night", "image": ["(the bytes of lighthouse.png)"], "size": "1024x1024"},
            },
            "application/json": {
                "schema": {"$ref": _SCHEMA},
            },
        },
    }
}
"""The documented request body of the route."""


async def _edit_params(request: Request) -> ImageEditParams:
    content_type = request.headers.get("content-type", "")
    body = await request.body()
    fields = _fields(read_form(content_type, body)) if is_form(content_type) else _json(content_type, body)
    try:
        return ImageEditParams.model_validate(fields)
    except ValidationError as error:
        problems = [{**item, "loc": ("body", *item["loc"])} for item in error.errors(include_url=False)]
        raise RequestValidationError(problems) from None


EditParamsDep = Annotated[ImageEditParams, Depends(_edit_params)]
"""The parameters of an edit, from JSON or a form."""


def _json(content_type: str, body: bytes) -> Any:
    if not is_json(content_type):
        raise InvalidRequest(
            "the body must be a JSON object, sent with Content-Type: application/json, or a form (multipart/form-data)"
        )
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise InvalidRequest(UNREADABLE_BODY) from None


def _fields(parts: Iterable[Part]) -> dict[str, Any]:
    """Return the form's fields as they would be in JSON.

    Files become data URLs without a type: the type of an image is detected from its content. Empty texts are left out.
    A field that can only be a text is read as text even if it has a file name, because some clients send a file name
    with every part.

    Raises:
        InvalidRequest: a known field has two values.
    """
    fields: dict[str, Any] = {}
    images: list[str] = []
    for part in parts:
        is_file = part.is_file and part.name not in _TEXTS
        text = f"data:;base64,{base64.b64encode(part.data).decode()}" if is_file else _text(part)
        name = "mask" if part.name == "mask[]" else part.name
        # An empty prompt is kept, so that the error says that it is empty and not that it is missing.
        if not text and name != "prompt":
            continue
        if _IMAGES.fullmatch(name):
            images.append(text)
        elif fields.get(name) and name in ImageEditParams.model_fields:
            raise InvalidRequest(f"{name}: was sent more than once", field=name)
        else:
            fields[name] = text
    if images:
        fields["image"] = images[0] if len(images) == 1 else images
    return fields


def _text(part: Part) -> str:
    try:
        return part.data.decode()
    except UnicodeDecodeError:
        message = f"{part.name}: is neither a file nor UTF-8 text"
        raise InvalidRequest(message, field=part.name[:64]) from None
