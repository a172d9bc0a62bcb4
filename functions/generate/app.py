"""The generate function: images from prompts."""

from fastapi import Response

from image_gateway.api import (
    ANSWERED,
    SUBMITTED,
    Access,
    OpenAISubmittingDep,
    SubmittingDep,
    access,
    create_app,
    lambda_handler,
    results,
)
from image_gateway.models.forms import CreateImageForm
from image_gateway.models.images import ImageInfo
from image_gateway.models.openai import ImageGenerateParams

app = create_app(results())


@app.post(
    "/api/v1/images/generations",
    tags=["images"],
    response_model=list[ImageInfo],
    response_model_exclude_none=True,
    responses=SUBMITTED,
)
@access(Access.USER)
async def generations(form: CreateImageForm, submitting: SubmittingDep) -> list[ImageInfo] | Response:
    """Generate images with the configured engine; they are stored, and answered as presigned URLs."""
    return await submitting.submit(form)


@app.post("/v1/images/generations", tags=["OpenAI"], responses=ANSWERED)
@access(Access.USER)
async def openai_generations(params: ImageGenerateParams, submitting: OpenAISubmittingDep) -> Response:
    """Generate images as the OpenAI API does; the model's name may name the engine."""
    await submitting.admit(params)
    return await submitting.submit(params)


handler = lambda_handler(app)
