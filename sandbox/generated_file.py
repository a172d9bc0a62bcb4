"""Files in the repository that are generated from the code."""

from collections.abc import Sequence
from pathlib import Path


def write_or_check(path: Path, text: str, arguments: Sequence[str], *, command: str) -> int:
    """Write a generated file; with `--check`, report whether it is current.

    Args:
        path: the file.
        text: its content.
        arguments: the program's arguments.
        command: what to run if the file is not current.

    Returns:
        The exit status: 1 if `--check` found the file out of date.
    """
    if "--check" not in arguments:
        path.write_text(text, encoding="utf-8")
        return 0
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return 0
    print(f"{path.name} is not current: {command}")
    return 1
