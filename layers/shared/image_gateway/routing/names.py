"""The names that requests use for models, and where they lead.

A request's model can have the form `engine/model`. It selects that engine if the part before the slash is the name of
a configured engine. Any other name, with or without slashes, is a model of the configured engine. A name that the
configuration has as an alias stands for another name, of either form.
"""

from image_gateway.engines import REGISTRY
from image_gateway.models.config import ImagesConfig
from image_gateway.models.jobs import Job
from image_gateway.routing.destination import Destination, configured_destination, configured_engine, server_url


def find_destination(
    config: ImagesConfig, model: str | None, *, edit: bool, allow_engine_prefix: bool = False
) -> Destination:
    """Return where a request goes.

    Args:
        config: the configuration.
        model: the request's model; None or empty for the configured model.
        edit: whether the request is an edit.
        allow_engine_prefix: whether `model` may have the form `engine/model`.
    """
    if not model:
        return configured_destination(config, edit=edit)
    if alias := config.IMAGE_MODEL_ALIASES.get(model):
        model, allow_engine_prefix = alias, True
    configured = configured_engine(config, edit=edit)
    engine, slash, rest = model.partition("/")
    is_prefix = allow_engine_prefix and slash and engine in REGISTRY
    if is_prefix and (engine == configured or server_url(config, engine, edit=edit)):
        return Destination(engine=engine, model=rest or None, config=config, edit=edit, named=True)
    return Destination(engine=configured, model=model, config=config, edit=edit)


def destination_of_job(job: Job, config: ImagesConfig) -> Destination:
    """Return where a job goes under the present configuration.

    A pinned job stays on its engine, with its model. So does a running job: if its holder died, that engine may have
    been paid, and no other one may be. The engine may be one that only a newer version knows.
    """
    edit = job.kind == "edit"
    configured = configured_engine(config, edit=edit)
    stays = job.pinned or (job.status == "running" and job.engine in REGISTRY and job.engine != configured)
    if stays:
        return destination_of_run(job, config)
    return find_destination(config, job.request.get("model"), edit=edit)


def destination_of_run(job: Job, config: ImagesConfig) -> Destination:
    """Return where the last attempt at a job went, or where it is now. The engine may be unknown, as for a job."""
    return Destination(engine=job.engine, model=job.model or None, config=config, edit=job.kind == "edit", named=True)
