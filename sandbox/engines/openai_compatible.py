"""How servers that are compatible with OpenAI's Images API differ from it, as their users report.

The models here are not in the sandbox's list of models. `sandbox-answer-…` return images under other names.
"""

from collections.abc import Callable
from typing import Any

from starlette.responses import JSONResponse, Response

Item = dict[str, str]
"""An image of OpenAI's `data`: `b64_json` or `url`."""

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
    "sandbox-answer-task": lambda _items: JSONResponse(_TASK, 202),
}
"""Responses by the name of the model."""


def _renamed(item: Item, name: str) -> dict[str, Any]:
    return {name if key == "b64_json" else key: value for key, value in item.items()}
