"""Routes of the list of models in the format of the OpenAI API, and of all paths under `/v1` that have no function."""

from fastapi import HTTPException, Response

from image_gateway.api import (
    DOCUMENTED_WARNINGS,
    ENGINE_ERRORS,
    WARNINGS_HEADER,
    Access,
    GatewayDep,
    PrincipalDep,
    access,
    create_router,
    error_responses,
    format_warnings,
)
from image_gateway.models.openai import OpenAIModel, OpenAIModels
from image_gateway.openai_api.model_list import ModelList

router = create_router(tags=["OpenAI"])


@router.get(
    "/v1/models",
    summary="OpenAI Models",
    responses={200: {"headers": DOCUMENTED_WARNINGS}, **error_responses(*ENGINE_ERRORS)},
)
@access(Access.USER)
async def openai_models(gateway: GatewayDep, principal: PrincipalDep, response: Response) -> OpenAIModels:
    """List the models that all configured engines offer now."""
    models, warnings = await ModelList(gateway.configs, gateway.engines.at).all(principal)
    if warnings:
        response.headers[WARNINGS_HEADER] = format_warnings(warnings)
    return OpenAIModels(data=models)


@router.get("/v1/models/{id:path}", summary="OpenAI Model", responses=error_responses(*ENGINE_ERRORS))
@access(Access.USER)
async def openai_model(id: str, gateway: GatewayDep, principal: PrincipalDep) -> OpenAIModel:
    """Return one model by the name that requests use for it."""
    return await ModelList(gateway.configs, gateway.engines.at).get(id, principal)


@router.api_route(
    "/v1/{path:path}",
    methods=["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"],
    include_in_schema=False,
)
@access(Access.PUBLIC)
async def openai_unknown() -> None:
    """Respond in the format of the OpenAI API, with what to do instead."""
    raise HTTPException(404)
