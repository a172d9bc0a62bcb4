"""Runs in LiteLLM's own environment: reads a call from each line of stdin and writes its result to a line of stdout.

A call is `{"function": …, "arguments": {…}}`, where the arguments `image` and `mask` are paths. A result is
`{"response": …}` or `{"error": {"class": …, "status": …, "message": …}}`. When the program is ready, it writes `null`.
"""

import json
import os
import sys
from collections.abc import Callable
from contextlib import ExitStack, redirect_stdout
from typing import Any

# Without this, importing LiteLLM fetches a list of prices from the internet.
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

import litellm  # type: ignore[import-not-found]  # it is in the other environment


def with_warnings(response: Any) -> dict[str, Any]:
    """Return a response with images, and its warnings, which LiteLLM has only in the headers."""
    header = response._hidden_params["headers"].get("x-image-gateway-warnings", "")
    return {**response.model_dump(), "warnings": json.loads(f"[{header}]")}


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "image_generation": lambda **arguments: with_warnings(litellm.image_generation(**arguments)),
    "image_edit": lambda **arguments: with_warnings(litellm.image_edit(**arguments)),
    "get_valid_models": litellm.get_valid_models,
}


def call(function: str, arguments: dict[str, Any]) -> Any:
    """Call a function of LiteLLM with opened files in place of paths."""
    with ExitStack() as files:
        if "image" in arguments:
            arguments["image"] = [files.enter_context(open(path, "rb")) for path in arguments["image"]]  # noqa: PTH123 - as its users do
        if "mask" in arguments:
            arguments["mask"] = files.enter_context(open(arguments["mask"], "rb"))  # noqa: PTH123 - as above
        return FUNCTIONS[function](**arguments)


def main() -> None:
    """Run calls until stdin ends."""
    results = sys.stdout
    # LiteLLM prints remarks about errors to stdout.
    with redirect_stdout(sys.stderr):
        print("null", file=results, flush=True)
        for line in sys.stdin:
            try:
                result = {"response": call(**json.loads(line))}
            except Exception as error:  # noqa: BLE001 - any exception is a result
                status, message = getattr(error, "status_code", None), str(error)
                result = {"error": {"class": type(error).__name__, "status": status, "message": message}}
            print(json.dumps(result), file=results, flush=True)


if __name__ == "__main__":
    main()
