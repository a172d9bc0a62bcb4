"""Which engine does a request, and with which model: the configured ones, or those that the request names.

A model may be named `engine/model`. That is understood where the part before the slash is an engine's name and that
engine is configured; any other name, with or without slashes, belongs to the configured engine as it is.
"""

from dataclasses import dataclass

from image_gateway.config.merge import with_edit_fallbacks
from image_gateway.engines import REGISTRY, field_for
from image_gateway.models.config import ImagesConfig
from image_gateway.models.jobs import Job


@dataclass(frozen=True, slots=True)
class EngineChoice:
    """An engine and its model.

    Attributes:
        engine: its name.
        model: as the engine names it; None for the engine's own choice.
        named: whether the request named the engine, so that another configuration is no reason to run elsewhere.
    """

    engine: str
    model: str | None
    named: bool = False


def configured_engine(config: ImagesConfig, *, edit: bool) -> str:
    """The engine that generates or edits where a request names none."""
    return config.IMAGE_EDIT_ENGINE if edit else config.IMAGE_GENERATION_ENGINE


def server_url(config: ImagesConfig, engine: str, *, edit: bool) -> str | None:
    """Base URL of the engine's server for generation or for edits; None where it is not configured.

    It is configured when its URL is set; where that is the provider's own, which is there from the start, when its key
    is set as well.
    """
    entry = REGISTRY[engine]
    if edit:
        config = with_edit_fallbacks(config)
    url, key = (field_for(name, edit=edit) for name in (entry.url_field, entry.key_field))
    found: str = getattr(config, url)
    needs_key = found == ImagesConfig.model_fields[url].default
    return found if found and (getattr(config, key) or not needs_key) else None


def choose_engine(config: ImagesConfig, model: str | None, *, edit: bool, allow_engine_prefix: bool = False) -> EngineChoice:
    """The engine and the model of a request.

    Args:
        config: the configuration.
        model: as the request names it; None or empty for the configured one.
        edit: whether images are edited.
        allow_engine_prefix: whether `model` may name an engine: `engine/model`.
    """
    configured = configured_engine(config, edit=edit)
    if not model:
        default = config.IMAGE_EDIT_MODEL if edit else config.IMAGE_GENERATION_MODEL
        return EngineChoice(configured, default or None)
    engine, slash, rest = model.partition("/")
    if allow_engine_prefix and slash and engine in REGISTRY and (engine == configured or server_url(config, engine, edit=edit)):
        return EngineChoice(engine, rest or None, named=True)
    return EngineChoice(configured, model)


def engine_for_job(job: Job, config: ImagesConfig) -> str:
    """The engine that a job is to run on."""
    return job.engine if job.pinned else configured_engine(config, edit=job.kind == "edit")


def choice_for_job(job: Job, model: str | None, config: ImagesConfig) -> EngineChoice:
    """The engine and the model of a job whose request names `model`."""
    if job.pinned:
        return EngineChoice(job.engine, job.model or None, named=True)
    return choose_engine(config, model, edit=job.kind == "edit")
