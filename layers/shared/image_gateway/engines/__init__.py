"""The engines: one protocol, one registry, and a sub-package for each kind of server."""

from image_gateway.engines.connection import Connection
from image_gateway.engines.protocol import Engine, PromptWriter
from image_gateway.engines.registry import (
    PROMPT_WRITER,
    REGISTRY,
    EngineEntry,
    create_engine,
    create_prompt_writer,
    default_connection,
    field_for,
    input_copies,
)

__all__ = [
    "PROMPT_WRITER",
    "REGISTRY",
    "Connection",
    "Engine",
    "EngineEntry",
    "PromptWriter",
    "create_engine",
    "create_prompt_writer",
    "default_connection",
    "field_for",
    "input_copies",
]
