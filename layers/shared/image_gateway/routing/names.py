"""The names that requests use for models, and where those lead that are no routes.

A request's model can have the form `engine/model`. It selects that engine if the part before the slash is the name of
a configured engine, or in an edit the name of its connection for edits, such as `openai-edit`. Any other name, with or
without slashes, is a model of the configured engine. A name that the configuration has as an alias stands for another
name, of either form.
"""

from image_gateway.config.servers import configured_server
from image_gateway.engines import REGISTRY
from image_gateway.models.config import ImagesConfig
from image_gateway.models.jobs import Job
from image_gateway.routing.destination import Destination, configured_destination, configured_engine


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
    prefix, slash, rest = model.partition("/")
    engine = prefix.removesuffix("-edit") if edit else prefix
    is_prefix = allow_engine_prefix and slash and engine in REGISTRY
    if is_prefix and (engine == configured or configured_server(config, engine, edit=edit)):
        return Destination(engine=engine, model=rest or None, config=config, edit=edit, named=True)
    return Destination(engine=configured, model=model, config=config, edit=edit)


def stays_at_its_engine(job: Job, config: ImagesConfig) -> bool:
    """Return whether a job goes where its last attempt went, whatever the configuration is by now.

    A pinned job does. So does a running job: if its holder died, that engine may have been paid, and no other one may
    be. The engine may be one that only a newer version knows.
    """
    configured = configured_engine(config, edit=job.kind == "edit")
    return job.pinned or (job.status == "running" and job.engine in REGISTRY and job.engine != configured)


def destination_of_run(job: Job, config: ImagesConfig) -> Destination:
    """Return where the last attempt at a job without a route or a stored connection went, or where it is now."""
    return Destination(engine=job.engine, model=job.model or None, config=config, edit=job.kind == "edit", named=True)


def destination_of_job(job: Job, config: ImagesConfig) -> Destination:
    """Return where a job without a route or a stored connection goes under the present configuration."""
    if stays_at_its_engine(job, config):
        return destination_of_run(job, config)
    return find_destination(config, job.request.get("model"), edit=job.kind == "edit")
