"""Arguments of stable-diffusion.cpp's server, which it reads from the prompt.

Its OpenAI routes read the prompt, `n`, `size` and the output format, and ignore every other field. What they do not
read, such as a seed, is JSON inside the prompt, in the schema of its own API. Source: `examples/server/api.md` and
`routes_openai.cpp` of leejet/stable-diffusion.cpp. The server uses the first such block, and removes all of them from
the prompt.
"""

import json
from typing import Any

NAME = "sd_cpp_extra_args"
"""A body field of this name, or the path `sd_cpp_extra_args.…` to a value in it, goes into the prompt."""

_PATH = f"{NAME}."


def is_argument(name: str) -> bool:
    """Return whether a field goes into the prompt."""
    return name == NAME or name.startswith(_PATH)


def with_prompt_arguments(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a request with those for the prompt in it. They come first, so that no caller can add any.

    An object `sd_cpp_extra_args`, which only the operator can set, overrides the paths.
    """
    paths = {name: value for name, value in fields.items() if name.startswith(_PATH)}
    given = fields.get(NAME)
    if not paths and not isinstance(given, dict):
        return fields
    arguments: dict[str, Any] = {}
    for name, value in paths.items():
        nested = value
        for key in reversed(name.removeprefix(_PATH).split(".")):
            nested = {key: nested}
        arguments = _merged(arguments, nested)
    if isinstance(given, dict):
        arguments = _merged(arguments, given)
    # Escaped, so that no text of a caller can end the block.
    text = json.dumps(arguments, separators=(",", ":")).replace("<", "\\u003c")
    others = {name: value for name, value in fields.items() if not is_argument(name)}
    return {**others, "prompt": f"<{NAME}>{text}</{NAME}>{fields.get('prompt', '')}"}


def _merged(lower: dict[str, Any], upper: dict[str, Any]) -> dict[str, Any]:
    merged = dict(lower)
    for name, value in upper.items():
        below = merged.get(name)
        merged[name] = _merged(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged
