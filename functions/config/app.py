"""The config function: configuration, tokens, models, health and documentation."""

from functions.config import (
    account,
    configuration,
    connections,
    docs,
    end_users,
    limits,
    openai_models,
    prices,
    routes,
    tokens,
    usage,
    workflows,
)
from functions.config.connections import VERIFY_SECONDS
from image_gateway.api import (
    ENGINE_ERRORS,
    Access,
    GatewayDep,
    PrincipalDep,
    access,
    create_app,
    error_responses,
    lambda_handler,
)
from image_gateway.errors import GatewayError
from image_gateway.models.images import Health, ModelInfo
from image_gateway.routing.usable_routes import usable_routes

_PARTS = (
    account,
    tokens,
    connections,
    routes,
    workflows,
    prices,
    limits,
    usage,
    end_users,
    openai_models,
    docs,
    configuration,
)
app = create_app(*(part.router for part in _PARTS))


@app.get("/api/v1/images/models", tags=["images"], responses=error_responses(*ENGINE_ERRORS))
@access(Access.USER)
async def models(gateway: GatewayDep, principal: PrincipalDep) -> list[ModelInfo]:
    """List the routes that the token may use, and the models that the configured engine offers now."""
    current = await gateway.configs.read()
    engine = current.config.IMAGE_GENERATION_ENGINE
    routes = [ModelInfo(id=name, name=name) for name in usable_routes(current, principal)]
    try:
        principal.require_server(engine, engine)
        offered = await gateway.engines.create(engine, current.config, timeout=VERIFY_SECONDS).models()
    except GatewayError:
        if routes:
            return routes
        raise
    known = {route.id for route in routes}
    return routes + [model for model in offered if principal.may_use_model(model.id) and model.id not in known]


@app.get("/health", tags=["service"])
@access(Access.PUBLIC)
async def health() -> Health:
    """Report that the gateway responds. Neither AWS nor an engine is called."""
    return Health()


handler = lambda_handler(app)
