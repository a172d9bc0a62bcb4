"""The engines by name. A new engine is a sub-package and an entry here; it is imported when first used."""

from dataclasses import dataclass, replace
from importlib import import_module
from typing import cast

from image_gateway.engines.protocol import Engine, PromptWriter
from image_gateway.engines.server import Connection
from image_gateway.models.config import ImagesConfig


@dataclass(frozen=True, slots=True)
class EngineEntry:
    """Where an engine is, and which configuration fields say how to reach it.

    `module` is a sub-package of `engines`. Its module `engine` has a class named by `factory`, which is called with the
    configuration, the connection and `edit`.

    Attributes:
        at_once: how many jobs it can work at; None for as many as come.
        own_queue: whether a run may wait at the server, as long as its timeout for each image.
        copies: how often a request to it holds an edit's images: more than twice as base64 in JSON.
        resumes: whether a job that is started again finds its own earlier run, so that nothing is paid for twice.
        stops: whether what a job runs on it can be stopped: by its job's id, or by whoever waits for it.
    """

    module: str
    factory: str
    url_field: str
    key_field: str
    at_once: int | None = None
    own_queue: bool = False
    copies: int = 2
    resumes: bool = False
    stops: bool = False


REGISTRY: dict[str, EngineEntry] = {
    "openai": EngineEntry("openai", "OpenAIEngine", "IMAGES_OPENAI_API_BASE_URL", "IMAGES_OPENAI_API_KEY"),
    "automatic1111": EngineEntry(
        "automatic1111",
        "Automatic1111Engine",
        "AUTOMATIC1111_BASE_URL",
        "AUTOMATIC1111_API_AUTH",
        at_once=1,
        copies=5,
        stops=True,
    ),
    "comfyui": EngineEntry(
        "comfyui", "ComfyUIEngine", "COMFYUI_BASE_URL", "COMFYUI_API_KEY", own_queue=True, resumes=True, stops=True
    ),
    "gemini": EngineEntry("gemini", "GeminiEngine", "IMAGES_GEMINI_API_BASE_URL", "IMAGES_GEMINI_API_KEY", copies=5),
}

PROMPT_WRITER = "openai"
"""The engine that rewrites prompts where the configured one cannot."""


def field_for(name: str, *, edit: bool) -> str:
    """The configuration field for edits that has the part of the field `name`; itself where there is none."""
    for_edits = f"IMAGES_EDIT_{name.removeprefix('IMAGES_')}"
    return for_edits if edit and for_edits in ImagesConfig.model_fields else name


def create_engine(name: str, config: ImagesConfig, connection: Connection, *, edit: bool = False) -> Engine:
    """Make the engine `name` for this configuration; `edit` takes the fields for edits where there are any."""
    entry = REGISTRY[name]
    connection = replace(connection, url_field=field_for(entry.url_field, edit=edit))
    factory = getattr(import_module(f"image_gateway.engines.{entry.module}.engine"), entry.factory)
    return cast("Engine", factory(config, connection, edit=edit))


def create_prompt_writer(name: str, config: ImagesConfig, connection: Connection) -> PromptWriter:
    """The engine `name` if it can rewrite prompts, else `PROMPT_WRITER`."""
    engine = create_engine(name, config, connection)
    if not hasattr(engine, "complete"):
        engine = create_engine(PROMPT_WRITER, config, connection)
    return cast("PromptWriter", engine)
