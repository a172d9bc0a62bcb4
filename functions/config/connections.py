"""Routes of connections, for administrators."""

from datetime import UTC, datetime
from typing import Annotated, Literal

from fastapi import Path, Response

from functions.config.versions import CHANGE_ERRORS, read_current, show_stored
from image_gateway.api import ENGINE_ERRORS, Access, GatewayDep, IfMatchDep, access, create_router, error_responses
from image_gateway.config.connection_views import list_connections, show_connection
from image_gateway.config.projection import engine_of, for_connection
from image_gateway.config.secret_checks import key_warnings
from image_gateway.container import Gateway
from image_gateway.engines import Engine
from image_gateway.errors import NotConfigured, NotFound
from image_gateway.models.connection_forms import ConnectionForm, ConnectionInfo, ConnectionList, StoredConnectionInfo
from image_gateway.models.images import ModelInfo
from image_gateway.models.names import CONNECTION_NAME, RESERVED_CONNECTIONS

VERIFY_SECONDS = 20.0
"""Seconds that an engine may take to respond: API Gateway responds in the gateway's place after 30 s."""

router = create_router(prefix="/api/v1/images/connections", tags=["connections"])

Name = Annotated[str, Path(pattern=CONNECTION_NAME, description="The connection's name.", examples=["azure-eu"])]


@router.get("", responses=error_responses(NotConfigured))
@access(Access.ADMIN)
async def read_connections(gateway: GatewayDep, response: Response) -> ConnectionList:
    """List all connections. Keys are masked. The `ETag` is the configuration's version."""
    current = await read_current(gateway, response)
    await gateway.cooldowns.read(0)
    listed = list_connections(current)
    listed.connections = [_with_cooling(gateway, connection) for connection in listed.connections]
    return listed


@router.get("/{name}", responses=error_responses(NotConfigured))
@access(Access.ADMIN)
async def read_connection(name: Name, gateway: GatewayDep, response: Response) -> ConnectionInfo:
    """Return a connection. Its key is masked. The `ETag` is the configuration's version."""
    current = await read_current(gateway, response)
    await gateway.cooldowns.read(0)
    return _with_cooling(gateway, show_connection(current, name))


@router.put(
    "/{name}",
    responses={
        201: {"model": StoredConnectionInfo, "description": "The connection is new"},
        **error_responses(*CHANGE_ERRORS),
    },
)
@access(Access.ADMIN)
async def put_connection(
    name: Name, form: ConnectionForm, gateway: GatewayDep, response: Response, if_match: IfMatchDep
) -> StoredConnectionInfo:
    """Store a connection, in place of the one with this name. A key that is left out or masked is kept."""
    current, created = await gateway.config_parts.updates.update_catalogue(
        lambda draft: draft.put_connection(name, form), if_match=if_match
    )
    show_stored(response, current, created=created)
    shown = show_connection(current, name)
    return StoredConnectionInfo.model_construct(**dict(shown), warnings=key_warnings("key", form.key))


@router.delete(
    "/{name}",
    status_code=204,
    responses=error_responses(*CHANGE_ERRORS),
)
@access(Access.ADMIN)
async def delete_connection(name: Name, gateway: GatewayDep, if_match: IfMatchDep) -> None:
    """Delete a connection with its key. This is refused while a route refers to it."""
    await gateway.config_parts.updates.update_catalogue(lambda draft: draft.delete_connection(name), if_match=if_match)


@router.post("/{name}/verify", responses=error_responses(*ENGINE_ERRORS))
@access(Access.ADMIN)
async def verify_connection(name: Name, gateway: GatewayDep) -> Literal[True]:
    """Check that the server can be used with its key; of ComfyUI the configured workflow too."""
    await (await _engine(gateway, name)).verify()
    return True


@router.get("/{name}/models", responses=error_responses(*ENGINE_ERRORS))
@access(Access.ADMIN)
async def connection_models(name: Name, gateway: GatewayDep) -> list[ModelInfo]:
    """List the models that the server offers now."""
    return await (await _engine(gateway, name)).models()


def _with_cooling(gateway: Gateway, connection: ConnectionInfo) -> ConnectionInfo:
    """Return a connection with what is known about its cooldown."""
    cooling = gateway.cooldowns.of_connection(connection.name)
    if cooling is None:
        return connection
    until = datetime.fromtimestamp(round(cooling.until), UTC)
    return connection.model_copy(update={"cooling_until": until, "cooling_reason": cooling.reason})


async def _engine(gateway: Gateway, name: str) -> Engine:
    current = await gateway.configs.read()
    engine = engine_of(current, name)
    if engine is None:
        raise NotFound(f"There is no connection {name}")
    config = for_connection(current, name)
    is_for_edits = name in RESERVED_CONNECTIONS and name.endswith("-edit")
    return gateway.engines.create(engine, config, edit=is_for_edits, timeout=VERIFY_SECONDS)
