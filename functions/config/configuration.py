"""Routes of the configuration, for administrators: reading, updating and verifying it."""

from typing import Literal

from fastapi import Response

from functions.config.connections import VERIFY_SECONDS
from functions.config.versions import read_current
from image_gateway.api import ENGINE_ERRORS, Access, GatewayDep, IfMatchDep, access, create_router, error_responses
from image_gateway.config.merge import with_credentials
from image_gateway.config.secret_checks import secret_warnings
from image_gateway.config.workflow_checks import workflow_warnings
from image_gateway.engines import REGISTRY, field_for
from image_gateway.errors import Busy, NotConfigured, PreconditionFailed, StorageUnavailable, TooLarge
from image_gateway.models.config import ImagesConfig, UpdatedConfig
from image_gateway.models.forms import VerifyForm

router = create_router(prefix="/api/v1/images", tags=["configuration"])


@router.get("/config", responses=error_responses(NotConfigured))
@access(Access.ADMIN)
async def read_config(gateway: GatewayDep, response: Response) -> ImagesConfig:
    """Return all fields of the configuration. Secrets are masked. The `ETag` is the configuration's version."""
    stored = await read_current(gateway, response)
    return stored.config.masked()


@router.post(
    "/config/update",
    responses=error_responses(NotConfigured, PreconditionFailed, TooLarge, StorageUnavailable, Busy),
)
@access(Access.ADMIN)
async def update_config(
    changes: ImagesConfig,
    gateway: GatewayDep,
    response: Response,
    if_match: IfMatchDep,
) -> UpdatedConfig:
    """Set fields. Fields that are left out, and secrets that are sent masked, keep their values."""
    stored = await gateway.config_parts.updates.update(changes, if_match=if_match)
    response.headers["ETag"] = stored.etag
    warnings = [
        *workflow_warnings(stored.config, changes),
        *gateway.config_parts.workflow_inspector.warnings(stored.config, changes),
        *secret_warnings(changes),
    ]
    return UpdatedConfig.model_construct(**dict(stored.config.masked()), warnings=warnings)


@router.post("/verify", responses=error_responses(*ENGINE_ERRORS))
@access(Access.ADMIN)
async def verify(form: VerifyForm, gateway: GatewayDep) -> Literal[True]:
    """Check that an engine can be used with this URL and key; of ComfyUI the workflow too. Nothing is stored."""
    entry = REGISTRY[form.engine]
    url_field, key_field = (field_for(name, edit=form.edit) for name in (entry.url_field, entry.key_field))
    config = (await gateway.configs.read()).config
    config = with_credentials(config, url_field, key_field, form.url, form.key)
    await gateway.engines.create(form.engine, config, edit=form.edit, timeout=VERIFY_SECONDS).verify()
    return True


@router.get("/config/url/verify", responses=error_responses(*ENGINE_ERRORS))
@access(Access.ADMIN)
async def verify_configured(gateway: GatewayDep) -> Literal[True]:
    """Check that the configured engine can be used."""
    config = (await gateway.configs.read()).config
    await gateway.engines.create(config.IMAGE_GENERATION_ENGINE, config, timeout=VERIFY_SECONDS).verify()
    return True
