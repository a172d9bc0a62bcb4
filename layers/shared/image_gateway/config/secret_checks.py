"""Checks of keys and passwords when they are stored."""

from image_gateway.engines.redaction import is_plain
from image_gateway.models.config import MASK, SECRETS, ImagesConfig


def secret_warnings(changes: ImagesConfig) -> list[str]:
    """Return a warning for each key that an update sets and that error texts of its engine may contain."""
    return [
        f"{name} is short and plain, so it is not removed from error texts of the engine"
        for name in SECRETS
        if name in changes.model_fields_set and is_plain(_secret(getattr(changes, name)))
    ]


def _secret(value: object) -> str:
    """Return the key, or the password of Basic auth."""
    if isinstance(value, dict):
        return str(value.get("password", ""))
    text = str(value or "")
    return "" if text == MASK else text.rpartition(":")[2]
