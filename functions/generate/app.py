"""The generate function: images from prompts."""

from typing import Annotated

from fastapi import Path, Response

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
from image_gateway.jobs.submission import Trial
from image_gateway.models.forms import CreateImageForm
from image_gateway.models.images import ImageInfo
from image_gateway.models.names import CONNECTION_NAME
from image_gateway.models.openai import ImageGenerateParams
from image_gateway.models.workflow_trials import TrialForm

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


@app.post(
    "/api/v1/images/workflows/{name}/try",
    tags=["workflows"],
    response_model=list[ImageInfo],
    response_model_exclude_none=True,
    responses=SUBMISSION_RESPONSES,
)
@access(Access.ADMIN)
async def try_workflow(
    name: Annotated[str, Path(pattern=CONNECTION_NAME, description="The workflow's name.", examples=["portrait"])],
    form: TrialForm,
    submission: SubmissionDep,
) -> list[ImageInfo] | Response:
    """Run a workflow once on a server of ComfyUI, as a job, and respond as a generation does."""
    trial = Trial(workflow=name, connection=form.connection)
    return await submission.submit(CreateImageForm(prompt=form.prompt), trial=trial)


handler = lambda_handler(app)
