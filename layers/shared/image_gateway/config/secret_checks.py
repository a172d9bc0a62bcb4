"""Checks of keys and passwords when they are stored."""

from image_gateway.engines.redaction import is_plain
from image_gateway.models.config import MASK, SECRETS, ImagesConfig


def secret_warnings(changes: ImagesConfig) -> list[str]:
    """Return a warning for each key that an update sets and that error texts of its engine may contain."""
    return [
        warning
        for name in SECRETS
        if name in changes.model_fields_set
        for warning in key_warnings(name, getattr(changes, name))
    ]


def key_warnings(name: str, key: object) -> list[str]:
    """Return the warning about one key that is set, if error texts of its engine may contain it."""
    text = f"{name} is short and plain, so it is not removed from error texts of the engine"
    return [text] if is_plain(_secret(key)) else []


def _secret(value: object) -> str:
    """Return the key, or the password of Basic auth."""
    if isinstance(value, dict):
        return str(value.get("password", ""))
    text = str(value or "")
    return "" if text == MASK else text.rpartition(":")[2]
