"""The generate function: images from prompts."""

from fastapi import Response

from image_gateway.api import (
    OPENAI_RESPONSES,
    SUBMISSION_RESPONSES,
    Access,
    OpenAISubmissionDep,
    SubmissionDep,
    access,
    create_app,
    lambda_handler,
    result_router,
)
from image_gateway.models.forms import CreateImageForm
from image_gateway.models.images import ImageInfo
from image_gateway.models.openai import ImageGenerateParams

app = create_app(result_router())


@app.post(
    "/api/v1/images/generations",
    tags=["images"],
    response_model=list[ImageInfo],
    response_model_exclude_none=True,
    responses=SUBMISSION_RESPONSES,
)
@access(Access.USER)
async def generations(form: CreateImageForm, submission: SubmissionDep) -> list[ImageInfo] | Response:
    """Generate images with the configured engine, store them, and return presigned URLs."""
    return await submission.submit(form)


@app.post("/v1/images/generations", tags=["OpenAI"], summary="OpenAI Generations", responses=OPENAI_RESPONSES)
@access(Access.USER)
async def openai_generations(params: ImageGenerateParams, submission: OpenAISubmissionDep) -> Response:
    """Generate images as with the OpenAI API. The model's name can select the engine."""
    return await submission.submit(params)


handler = lambda_handler(app)
