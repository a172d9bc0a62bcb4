"""The destinations of a route's targets, and of connections that requests name."""

from dataclasses import replace

from image_gateway.config.catalogue import Catalogue
from image_gateway.config.projection import engine_of, for_connection, with_target
from image_gateway.config.versioned import VersionedConfig
from image_gateway.engines import REGISTRY, default_connection
from image_gateway.errors import GatewayError, NotConfigured, StorageUnavailable
from image_gateway.models.names import RESERVED_CONNECTIONS
from image_gateway.models.routes import Route, StoredTarget
from image_gateway.routing.destination import Destination, configured_engine, configured_model
from image_gateway.routing.plan import Plan


def plan_of_route(versioned: VersionedConfig, catalogue: Catalogue, name: str, route: Route, *, edit: bool) -> Plan:
    """Return the plan of a request that names a route.

    A target that cannot be used is part of the plan, with its problem.

    Args:
        versioned: the current configuration, with the keys of connections.
        catalogue: the catalogue that has the route.
        name: the route's name.
        route: the route.
        edit: whether the request is an edit.

    Raises:
        StorageUnavailable: the catalogue cannot be read.
    """
    destinations = [
        replace(destination_at(versioned, catalogue, target, edit=edit), target=number)
        for number, target in enumerate(route.targets)
    ]
    if edit and any(_takes_masks(destination) for destination in destinations):
        destinations = [replace(each, refuses_masks=not _takes_masks(each)) for each in destinations]
    return Plan(
        destinations=tuple(destinations),
        route=name,
        catalogue=catalogue.digest,
        strategy=route.strategy,
        fallback_on=frozenset(route.fallback_on),
    )


def destination_of(
    versioned: VersionedConfig,
    catalogue: Catalogue,
    connection: str,
    model: str | None,
    *,
    edit: bool,
    workflow: str | None = None,
) -> Destination:
    """Return the destination of a request that names a connection and a model. Raises as `destination_at`."""
    target = StoredTarget.model_construct(connection=connection, model=model, workflow=workflow)
    return destination_at(versioned, catalogue, target, edit=edit)


def destination_at(
    versioned: VersionedConfig, catalogue: Catalogue, target: StoredTarget, *, edit: bool
) -> Destination:
    """Return the destination of a target.

    Raises:
        StorageUnavailable: the catalogue cannot be read.
    """
    name, config, engine = target.connection, versioned.config, ""
    digest: str | None = None
    problem: GatewayError | None = None
    try:
        engine = engine_of(versioned, name, catalogue) or ""
        config = with_target(for_connection(versioned, name, catalogue), target)
        digest = catalogue.workflow(target.workflow) if target.workflow else None
        problem = _problem(name, engine, edit=edit)
    except StorageUnavailable:
        raise
    except GatewayError as error:
        problem = error
    is_stored = name not in RESERVED_CONNECTIONS
    return Destination(
        engine=engine,
        model=target.model or (None if is_stored else _configured_model(versioned, catalogue, engine, edit=edit)),
        config=config,
        deployment=versioned.config,
        edit=edit,
        named=True,
        stored_connection=name if is_stored or problem else "",
        slots=_slots(catalogue, name) if is_stored and not problem else None,
        workflow=target.workflow,
        workflow_digest=digest,
        weight=target.weight,
        problem=problem,
    )


def _problem(connection: str, engine: str, *, edit: bool) -> NotConfigured | None:
    if engine not in REGISTRY:
        return NotConfigured(f"The deployed version does not know the engine of the connection {connection}")
    if connection in RESERVED_CONNECTIONS and connection not in (engine, default_connection(engine, edit=edit)):
        return NotConfigured(f"The connection {connection} is for edits only")
    return None


def _slots(catalogue: Catalogue, name: str) -> int | None:
    connection = catalogue.connection(name)
    return connection.max_concurrent if connection else None


def _configured_model(versioned: VersionedConfig, catalogue: Catalogue, engine: str, *, edit: bool) -> str | None:
    """Return the configured model if it is one of this engine, and not the name of a route."""
    config = versioned.config
    model = configured_model(config, edit=edit)
    is_engines_own = engine == configured_engine(config, edit=edit) and model
    return model if is_engines_own and catalogue.route(model) is None else None


def _takes_masks(destination: Destination) -> bool:
    return destination.problem is None and destination.entry.takes_masks
