"""Merging of changes into a configuration. A secret never moves to another server with its URL."""

from typing import Any

from pydantic import ValidationError

from image_gateway.errors import InvalidRequest
from image_gateway.models.config import MASK, SECRETS, ImagesConfig
from image_gateway.models.fields import origin


def merge(current: ImagesConfig, changes: ImagesConfig) -> ImagesConfig:
    """Return `current` with the fields that are set in `changes`. A secret that is masked in `changes` is unchanged.

    Raises:
        InvalidRequest: the result does not validate, or a secret that is not in `changes` would be sent to another
            origin.
    """
    changed = changes.model_dump(include=changes.model_fields_set)
    kept_secrets = {name for name in SECRETS if changed.get(name, MASK) == MASK}
    values = {**current.model_dump(), **{name: value for name, value in changed.items() if name not in kept_secrets}}
    try:
        config = ImagesConfig.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        field = first.get("ctx", {}).get("field")
        problem = f"{field}: {first['ctx']['problem']}" if field else str(first["msg"])
        raise InvalidRequest(problem, field=field) from None
    for name in kept_secrets:
        check_origin(name, current, config)
    return config


def with_credentials(
    current: ImagesConfig, url_field: str, key_field: str, url: str | None, key: str | dict[str, Any] | None
) -> ImagesConfig:
    """Return `current` with another URL and key for one engine, to test them. Nothing is stored.

    Args:
        current: the configuration.
        url_field: the engine's URL field.
        key_field: the engine's secret field.
        url: the URL; None keeps the configured URL.
        key: the key; None or the mask keeps the configured key, which may only be sent to its own server.

    Raises:
        InvalidRequest: a value does not validate, or the configured key would be sent to another origin. `field` is
            `url`, `key` or the secret's field.
    """
    values = {url_field: url, key_field: MASK if key is None else key}
    try:
        changes = ImagesConfig.model_validate({name: value for name, value in values.items() if value is not None})
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        field = "url" if first["loc"] and first["loc"][0] == url_field else "key"
        raise InvalidRequest(f"{field}: {first['msg']}", field=field) from None
    return merge(current, changes)


def check_origin(secret: str, current: ImagesConfig, changed: ImagesConfig) -> None:
    """Check that a configured secret is not sent to another server than the one it was set for.

    Raises:
        InvalidRequest: the secret is set, and its URL has another scheme, host or port.
    """
    url_field = SECRETS[secret]
    before, after = getattr(current, url_field), getattr(changed, url_field)
    if getattr(current, secret) and after and origin(before) != origin(after):
        raise InvalidRequest(
            f"{url_field} moves to another server: send {secret} again with it (an empty value removes it)",
            field=secret,
        )
