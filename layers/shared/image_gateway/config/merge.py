"""What a configuration becomes: what the environment says where nothing is stored, and what an update makes of it."""

import json
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from image_gateway.errors import InvalidRequest, NotConfigured
from image_gateway.models.config import MASK, SECRETS, ImagesConfig
from image_gateway.models.fields import origin

_EDIT_SERVERS = (
    ("IMAGES_EDIT_OPENAI_API_BASE_URL", "IMAGES_EDIT_OPENAI_API_KEY", "IMAGES_EDIT_OPENAI_API_VERSION"),
    ("IMAGES_EDIT_GEMINI_API_BASE_URL", "IMAGES_EDIT_GEMINI_API_KEY"),
    ("IMAGES_EDIT_COMFYUI_BASE_URL", "IMAGES_EDIT_COMFYUI_API_KEY"),
)
"""URL, key and what else says how to reach a server for edits. The fields for generation lack the `EDIT`."""

REWRITE_TIMEOUT_SECONDS = 15
"""How long a language model may take to rewrite a prompt; then the prompt is used as it is."""
WORKER_RESERVE_SECONDS = 30
"""What a worker needs beyond its engine's timeout: to begin, and to store images and their job's end."""


def fallback(environ: Mapping[str, str]) -> dict[str, Any]:
    """The fields that environment variables of their names give.

    Raises:
        NotConfigured: one does not validate; `field` names it.
    """
    present: dict[str, Any] = {}
    for name in ImagesConfig.model_fields:
        text = environ.get(name)
        if text:
            present[name] = _parsed(text) if name.endswith("_NODES") else text
    try:
        ImagesConfig.model_validate(present)
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        name = str(first["loc"][0]) if first["loc"] else "COMFYUI_WORKFLOW_NODES"
        raise NotConfigured(f"The environment variable {name} {first['msg']}", field=name) from None
    return present


def merge(current: ImagesConfig, changes: ImagesConfig) -> ImagesConfig:
    """`current` with the fields that `changes` has set; masked secrets keep their value.

    Raises:
        InvalidRequest: the outcome does not validate, or a secret that was not sent anew would go to another origin.
    """
    wanted = changes.model_dump(include=changes.model_fields_set)
    kept = {name for name in SECRETS if wanted.get(name, MASK) == MASK}
    values = {**current.model_dump(), **{name: value for name, value in wanted.items() if name not in kept}}
    try:
        config = ImagesConfig.model_validate(values)
    except ValidationError as error:
        raise InvalidRequest(str(error.errors(include_input=False)[0]["msg"])) from None
    for name in kept:
        check_origin(name, current, config)
    return config


def timeout_problem(config: ImagesConfig, worker_seconds: float) -> str | None:
    """Why the engine's timeout does not fit into the worker's own limit, and what to do; None where it does."""
    reserve = WORKER_RESERVE_SECONDS + max_engine_seconds(config) - config.IMAGE_ENGINE_TIMEOUT
    most = worker_seconds - reserve
    if most >= config.IMAGE_ENGINE_TIMEOUT:
        return None
    return (
        f"IMAGE_ENGINE_TIMEOUT must be {most:g} s at most, {reserve:g} s less than a worker may run: "
        "lower it, or deploy with a longer WorkerTimeoutSeconds"
    )


def max_engine_seconds(config: ImagesConfig) -> float:
    """Seconds that an engine may take for a job, with what rewrites its prompt before."""
    rewriting = config.ENABLE_IMAGE_PROMPT_GENERATION and config.IMAGE_PROMPT_GENERATION_MODEL
    return config.IMAGE_ENGINE_TIMEOUT + (REWRITE_TIMEOUT_SECONDS if rewriting else 0)


def with_credentials(
    current: ImagesConfig, url_field: str, key_field: str, url: str | None, key: str | dict[str, Any] | None
) -> ImagesConfig:
    """`current` with another URL and key for one engine, to try them out. Nothing is stored.

    Args:
        current: the configuration.
        url_field: the engine's URL field.
        key_field: the engine's secret field.
        url: None keeps the configured one.
        key: None or masked keeps the configured one, which only its own server may be sent.

    Raises:
        InvalidRequest: a value does not validate, or the configured key would go to another origin.
    """
    wanted = {url_field: url, key_field: MASK if key is None else key}
    present = {name: value for name, value in wanted.items() if value is not None}
    try:
        changes = ImagesConfig.model_validate(present)
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        field = "url" if first["loc"] and first["loc"][0] == url_field else "key"
        raise InvalidRequest(f"{field}: {first['msg']}", field=field) from None
    return merge(current, changes)


def with_edit_fallbacks(config: ImagesConfig) -> ImagesConfig:
    """`config` with what edits take from the settings for generation.

    An empty URL for edits means the one for generation, with its key and version. An empty key means the one for
    generation where both URLs are of the same origin.
    """
    taken: dict[str, Any] = {}
    for fields in _EDIT_SERVERS:
        plain = [name.replace("IMAGES_EDIT_COMFYUI", "COMFYUI").replace("IMAGES_EDIT", "IMAGES") for name in fields]
        (url, key), (plain_url, plain_key) = fields[:2], plain[:2]
        if not getattr(config, url):
            taken |= {name: getattr(config, other) for name, other in zip(fields, plain, strict=True)}
        elif not getattr(config, key) and origin(getattr(config, url)) == origin(getattr(config, plain_url)):
            taken[key] = getattr(config, plain_key)
    return config.model_copy(update=taken)


def check_origin(secret: str, current: ImagesConfig, changed: ImagesConfig) -> None:
    """Refuse to send a configured secret to another server than the one it was given for.

    Raises:
        InvalidRequest: the secret is set, and its URL has moved to another scheme, host or port.
    """
    url_field = SECRETS[secret]
    before, after = getattr(current, url_field), getattr(changed, url_field)
    if getattr(current, secret) and after and origin(before) != origin(after):
        raise InvalidRequest(
            f"{url_field} moves to another server: send {secret} anew with it (an empty one removes it)", field=secret
        )


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
