"""Routes of models as the OpenAI API lists them."""

from fastapi import APIRouter, Response

from image_gateway.api import (
    ASKING,
    WARNED,
    WARNINGS,
    Access,
    GatewayDep,
    GuardedRoute,
    PrincipalDep,
    access,
    refusals,
    warnings_header,
)
from image_gateway.models.openai import OpenAIModel, OpenAIModels
from image_gateway.openai_api.model_list import ModelList

router = APIRouter(route_class=GuardedRoute, tags=["OpenAI"])


@router.get("/v1/models", responses={200: {"headers": WARNED}, **refusals(*ASKING)})
@access(Access.USER)
async def openai_models(gateway: GatewayDep, principal: PrincipalDep, response: Response) -> OpenAIModels:
    """The models of all engines that are configured, asked of the engines themselves."""
    models, warnings = await ModelList(gateway.configs, gateway.engine).all(principal)
    if warnings:
        response.headers[WARNINGS] = warnings_header(warnings)
    return OpenAIModels(data=models)


@router.get("/v1/models/{id:path}", responses=refusals(*ASKING))
@access(Access.USER)
async def openai_model(id: str, gateway: GatewayDep, principal: PrincipalDep) -> OpenAIModel:
    """One model, by the name that a request would give it."""
    return await ModelList(gateway.configs, gateway.engine).one(id, principal)
