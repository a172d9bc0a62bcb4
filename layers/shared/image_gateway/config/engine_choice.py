"""Choice of the engine and the model of a request.

A request's model can have the form `engine/model`. It selects that engine if the part before the slash is the name of
a configured engine. Any other name, with or without slashes, is a model of the configured engine. A name that the
configuration has as an alias stands for another name, of either form.
"""

from dataclasses import dataclass

from image_gateway.config.fallbacks import with_edit_fallbacks
from image_gateway.engines import REGISTRY, field_for
from image_gateway.models.config import ImagesConfig
from image_gateway.models.jobs import Job


@dataclass(frozen=True, slots=True)
class EngineChoice:
    """An engine and a model.

    Attributes:
        engine: the name of the engine.
        model: the name that the model has at the engine; None for the engine's default.
        named: whether the request named the engine. If so, a later change of the configuration does not change it.
    """

    engine: str
    model: str | None
    named: bool = False


def configured_engine(config: ImagesConfig, *, edit: bool) -> str:
    """Return the configured engine for generation or for edits."""
    return config.IMAGE_EDIT_ENGINE if edit else config.IMAGE_GENERATION_ENGINE


def server_url(config: ImagesConfig, engine: str, *, edit: bool) -> str | None:
    """Return the base URL of the engine's server for generation or for edits; None if the engine is not configured.

    An engine is configured if its URL is set. If the URL is the default, which is the provider's own, the key must be
    set too.
    """
    entry = REGISTRY[engine]
    if edit:
        config = with_edit_fallbacks(config)
    url_field, key_field = (field_for(name, edit=edit) for name in (entry.url_field, entry.key_field))
    url: str = getattr(config, url_field)
    needs_key = url == ImagesConfig.model_fields[url_field].default
    return url if url and (getattr(config, key_field) or not needs_key) else None


def choose_engine(
    config: ImagesConfig, model: str | None, *, edit: bool, allow_engine_prefix: bool = False
) -> EngineChoice:
    """Return the engine and the model of a request.

    Args:
        config: the configuration.
        model: the request's model; None or empty for the configured model.
        edit: whether the request is an edit.
        allow_engine_prefix: whether `model` may have the form `engine/model`.
    """
    configured = configured_engine(config, edit=edit)
    if not model:
        default = config.IMAGE_EDIT_MODEL if edit else config.IMAGE_GENERATION_MODEL
        return EngineChoice(configured, default or None)
    if alias := config.IMAGE_MODEL_ALIASES.get(model):
        model, allow_engine_prefix = alias, True
    engine, slash, rest = model.partition("/")
    is_prefix = allow_engine_prefix and slash and engine in REGISTRY
    if is_prefix and (engine == configured or server_url(config, engine, edit=edit)):
        return EngineChoice(engine, rest or None, named=True)
    return EngineChoice(configured, model)


def engine_for_job(job: Job, config: ImagesConfig) -> str:
    """Return the engine of a job: the configured one, unless the job is pinned.

    A running job stays on its engine. If its holder died, that engine may have been paid, and no other one may be.
    """
    if job.pinned or (job.status == "running" and job.engine in REGISTRY):
        return job.engine
    return configured_engine(config, edit=job.kind == "edit")


def choice_for_job(job: Job, model: str | None, config: ImagesConfig) -> EngineChoice:
    """Return the engine and the model of a job; `model` is the request's model."""
    edit = job.kind == "edit"
    engine = engine_for_job(job, config)
    if job.pinned or engine != configured_engine(config, edit=edit):
        return EngineChoice(engine, job.model or None, named=True)
    return choose_engine(config, model, edit=edit)
