"""The engines by name. A new engine is a sub-package and an entry here. Engines are imported at their first use."""

from dataclasses import dataclass, replace
from importlib import import_module
from typing import cast

from image_gateway.engines.connection import Connection
from image_gateway.engines.protocol import Engine, PromptWriter
from image_gateway.models.config import ImagesConfig
from image_gateway.models.servers import ServerAccess

_JSON_COPIES = 5
"""How many copies of an edit's images a request holds that has them as base64 in JSON."""


@dataclass(frozen=True, slots=True)
class EngineEntry:
    """An engine's class, its configuration fields and its capabilities.

    Attributes:
        module: the sub-package of `engines`.
        factory: name of the class in its module `engine`; called with the configuration, the connection and `edit`.
        url_field: configuration field of the server's URL.
        key_field: configuration field of the key.
        max_concurrent: how many jobs the engine can run at the same time; None: no limit.
        has_own_queue: whether the server has a queue, in which a run may wait for the timeout of each image.
        input_copies: how many copies of an edit's images a request to it holds in memory, unless its server has a
            dialect with others: see `input_copies`.
        resumes_runs: whether a restarted job finds its own earlier run, so that nothing is paid twice.
        can_stop: whether a job's run can be stopped, by the job's id or by the process that waits for it.
        takes_masks: whether an edit can be limited by a mask.
        rewrites_prompts: whether it is a `PromptWriter` too.
    """

    module: str
    factory: str
    url_field: str
    key_field: str
    max_concurrent: int | None = None
    has_own_queue: bool = False
    input_copies: int = 2
    resumes_runs: bool = False
    can_stop: bool = False
    takes_masks: bool = True
    rewrites_prompts: bool = False


REGISTRY: dict[str, EngineEntry] = {
    "openai": EngineEntry(
        "openai",
        "OpenAIEngine",
        "IMAGES_OPENAI_API_BASE_URL",
        "IMAGES_OPENAI_API_KEY",
        rewrites_prompts=True,
    ),
    "automatic1111": EngineEntry(
        "automatic1111",
        "Automatic1111Engine",
        "AUTOMATIC1111_BASE_URL",
        "AUTOMATIC1111_API_AUTH",
        max_concurrent=1,
        input_copies=_JSON_COPIES,
        can_stop=True,
    ),
    "comfyui": EngineEntry(
        "comfyui",
        "ComfyUIEngine",
        "COMFYUI_BASE_URL",
        "COMFYUI_API_KEY",
        has_own_queue=True,
        resumes_runs=True,
        can_stop=True,
    ),
    "gemini": EngineEntry(
        "gemini",
        "GeminiEngine",
        "IMAGES_GEMINI_API_BASE_URL",
        "IMAGES_GEMINI_API_KEY",
        input_copies=_JSON_COPIES,
        takes_masks=False,
        rewrites_prompts=True,
    ),
}

PROMPT_WRITER = "openai"
"""The engine that rewrites prompts if the configured engine cannot."""


def field_for(name: str, *, edit: bool) -> str:
    """Return the configuration field that replaces the field `name` for edits; `name` itself where there is none."""
    for_edits = f"IMAGES_EDIT_{name.removeprefix('IMAGES_')}"
    return for_edits if edit and for_edits in ImagesConfig.model_fields else name


def input_copies(name: str, access: ServerAccess | None, base_url: str) -> int:
    """Return how many copies of an edit's images a request to a server holds in memory.

    Args:
        name: the engine.
        access: what a named connection says of its server; None for the configuration's own.
        base_url: the server.
    """
    if name == "openai":
        from image_gateway.engines.openai.dialects import JSON_DIALECTS, dialect_of  # noqa: PLC0415 - for edits only

        if dialect_of(access, base_url) in JSON_DIALECTS:
            return _JSON_COPIES
    return REGISTRY[name].input_copies


def default_connection(engine: str, *, edit: bool) -> str:
    """Return the name of the connection that an engine's configuration fields are, for generation or for edits.

    An engine without fields for edits edits with the connection that generates.
    """
    entry = REGISTRY.get(engine)
    has_own_server = entry is not None and field_for(entry.url_field, edit=True) != entry.url_field
    return f"{engine}-edit" if edit and has_own_server else engine


def create_engine(name: str, config: ImagesConfig, connection: Connection, *, edit: bool = False) -> Engine:
    """Create the engine `name` for this configuration; with `edit`, from the fields for edits where there are any."""
    entry = REGISTRY[name]
    url_field = field_for(entry.url_field, edit=edit)
    if access := config.access:
        url_field = f"base_url of the connection {access.connection}"
    connection = replace(connection, url_field=url_field, access=access)
    factory = getattr(import_module(f"image_gateway.engines.{entry.module}.engine"), entry.factory)
    return cast("Engine", factory(config, connection, edit=edit))


def create_prompt_writer(name: str, config: ImagesConfig, connection: Connection) -> PromptWriter:
    """Create the engine `name` if it can rewrite prompts, else `PROMPT_WRITER`."""
    writer = name if REGISTRY[name].rewrites_prompts else PROMPT_WRITER
    return cast("PromptWriter", create_engine(writer, config, connection))
