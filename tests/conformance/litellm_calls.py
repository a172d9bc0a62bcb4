"""Runs in LiteLLM's own environment: reads a call from each line of its input, and answers each by a line.

A call is `{"function": …, "arguments": {…}}`, where arguments named `image` and `mask` are paths; an answer is
`{"answer": …}` or `{"error": {"class": …, "status": …, "message": …}}`. `null` is said when it is ready.
"""

import json
import os
import sys
from collections.abc import Callable
from contextlib import ExitStack, redirect_stdout
from typing import Any

# Nothing is fetched from the internet while it is imported.
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

import litellm  # type: ignore[import-not-found]  # it is in the other environment


def images(answer: Any) -> dict[str, Any]:
    """An answer with images, and its warnings, which it has only in its headers."""
    said = answer._hidden_params["headers"].get("x-image-gateway-warnings", "")
    return {**answer.model_dump(), "warnings": json.loads(f"[{said}]")}


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "image_generation": lambda **arguments: images(litellm.image_generation(**arguments)),
    "image_edit": lambda **arguments: images(litellm.image_edit(**arguments)),
    "get_valid_models": litellm.get_valid_models,
}


def call(function: str, arguments: dict[str, Any]) -> Any:
    """Call a function of LiteLLM's with files in place of paths."""
    with ExitStack() as files:
        if "image" in arguments:
            arguments["image"] = [files.enter_context(open(path, "rb")) for path in arguments["image"]]  # noqa: PTH123 - as its users do
        if "mask" in arguments:
            arguments["mask"] = files.enter_context(open(arguments["mask"], "rb"))  # noqa: PTH123 - as above
        return FUNCTIONS[function](**arguments)


def main() -> None:
    """Answer until the input ends."""
    answers = sys.stdout
    # LiteLLM prints what it thinks of errors.
    with redirect_stdout(sys.stderr):
        print("null", file=answers, flush=True)
        for line in sys.stdin:
            try:
                said = {"answer": call(**json.loads(line))}
            except Exception as error:  # noqa: BLE001 - whatever it raises is its answer
                status, message = getattr(error, "status_code", None), str(error)
                said = {"error": {"class": type(error).__name__, "status": status, "message": message}}
            print(json.dumps(said), file=answers, flush=True)


if __name__ == "__main__":
    main()
