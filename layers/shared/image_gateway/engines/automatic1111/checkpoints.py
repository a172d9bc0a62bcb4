"""Compares the requested checkpoint with the one that the server used."""

import re
from pathlib import PurePosixPath
from typing import Any

_CHECKPOINT_SUFFIXES = (".safetensors", ".ckpt", ".pt", ".pth", ".gguf", ".sft")
_TITLE_HASH = re.compile(r"\s*\[[0-9a-f]+\]$", re.IGNORECASE)


def checkpoint_warnings(wanted: Any, info: dict[str, Any]) -> list[str]:
    """Return a warning if the server used another checkpoint than requested, which it does not report as an error."""
    used = info.get("sd_model_name")
    if not isinstance(wanted, str) or not isinstance(used, str) or not used or not wanted:
        return []
    hash_ = info.get("sd_model_hash")
    requested, used_stem = _stem(wanted), _stem(used)
    # The server finds a checkpoint by any part of its title or by its hash, and replaces slashes by underscores.
    matches = (
        requested in used_stem
        or requested.endswith("_" + used_stem)
        or (isinstance(hash_, str) and requested == hash_.lower())
    )
    return [] if matches else [f"model {wanted} is not known to automatic1111, which used {used}"]


def _stem(checkpoint: str) -> str:
    """Return a checkpoint's name as in `sd_model_name`: without folder, file type and hash."""
    path = PurePosixPath(_TITLE_HASH.sub("", checkpoint).replace("\\", "/").lower())
    return path.stem if path.suffix in _CHECKPOINT_SUFFIXES else path.name
