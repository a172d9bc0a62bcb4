"""The config function: configuration, what the engine offers, health and documentation."""

from typing import Annotated, Literal

from fastapi import Header, Response

from functions.config import docs, openai_models, tokens
from image_gateway.api import (
    ASKING,
    Access,
    GatewayDep,
    PrincipalDep,
    access,
    create_app,
    lambda_handler,
    refusals,
)
from image_gateway.config.merge import with_credentials
from image_gateway.engines import REGISTRY
from image_gateway.errors import Busy, NotConfigured, PreconditionFailed, StorageUnavailable, TooLarge
from image_gateway.models.config import ImagesConfig
from image_gateway.models.forms import VerifyForm
from image_gateway.models.images import Health, ModelInfo

VERIFY_SECONDS = 20.0
"""How long an engine may take to say who it is: API Gateway answers for us after 30 s."""

app = create_app(tokens.router, openai_models.router, docs.router)


@app.get("/api/v1/images/config", tags=["configuration"], responses=refusals(NotConfigured))
@access(Access.ADMIN)
async def read_config(gateway: GatewayDep, response: Response) -> ImagesConfig:
    """Every field of the configuration; secrets that are set are masked. The `ETag` is its version."""
    found = await gateway.configs.read()
    response.headers["ETag"] = found.etag
    return found.config.masked()


@app.post(
    "/api/v1/images/config/update",
    tags=["configuration"],
    responses=refusals(NotConfigured, PreconditionFailed, TooLarge, StorageUnavailable, Busy),
)
@access(Access.ADMIN)
async def update_config(
    changes: ImagesConfig,
    gateway: GatewayDep,
    response: Response,
    if_match: Annotated[str | None, Header(description="The ETag that was read; another current one is a 412.")] = None,
) -> ImagesConfig:
    """Set fields. What is left out, and a secret that is sent masked, keeps its value."""
    stored = await gateway.configs.update(changes, if_match=_versions(if_match))
    response.headers["ETag"] = stored.etag
    return stored.config.masked()


@app.post("/api/v1/images/verify", tags=["configuration"], responses=refusals(*ASKING))
@access(Access.ADMIN)
async def verify(form: VerifyForm, gateway: GatewayDep) -> Literal[True]:
    """Ask an engine whether it can be used with this URL and key. Nothing is stored."""
    entry = REGISTRY[form.engine]
    config = (await gateway.configs.read()).config
    config = with_credentials(config, entry.url_field, entry.key_field, form.url, form.key)
    await gateway.engine(form.engine, config, timeout=VERIFY_SECONDS).verify()
    return True


@app.get("/api/v1/images/config/url/verify", tags=["configuration"], responses=refusals(*ASKING))
@access(Access.ADMIN)
async def verify_configured(gateway: GatewayDep) -> Literal[True]:
    """Ask the configured engine whether it can be used."""
    config = (await gateway.configs.read()).config
    await gateway.engine(config.IMAGE_GENERATION_ENGINE, config, timeout=VERIFY_SECONDS).verify()
    return True


@app.get("/api/v1/images/models", tags=["images"], responses=refusals(*ASKING))
@access(Access.USER)
async def models(gateway: GatewayDep, principal: PrincipalDep) -> list[ModelInfo]:
    """The models that the configured engine offers and the token may use, asked of the engine itself."""
    config = (await gateway.configs.read()).config
    principal.require_engine(config.IMAGE_GENERATION_ENGINE)
    found = await gateway.engine(config.IMAGE_GENERATION_ENGINE, config, timeout=VERIFY_SECONDS).models()
    return [model for model in found if principal.may_use_model(model.id)]


@app.get("/health", tags=["service"])
@access(Access.PUBLIC)
async def health() -> Health:
    """Says that the gateway answers. Asks nothing of AWS or an engine."""
    return Health()


def _versions(if_match: str | None) -> frozenset[int] | None:
    """The versions that an `If-Match` header names; None where any will do."""
    if if_match is None or if_match.strip() == "*":
        return None
    tags = [tag.strip().strip('"') for tag in if_match.split(",")]
    # More digits than any version has would only be slow to read.
    if not all(tag.isascii() and tag.isdigit() and len(tag) <= 18 for tag in tags):
        raise PreconditionFailed("If-Match must hold the ETag that GET config answered", field="If-Match")
    return frozenset(int(tag) for tag in tags)


handler = lambda_handler(app)
