"""The generate function: images from prompts."""

from typing import Annotated

from fastapi import Path, Response

from image_gateway.api import (
    SUBMISSION_RESPONSES,
    Access,
    SubmissionDep,
    access,
    create_app,
    generation_router,
    lambda_handler,
    result_router,
)
from image_gateway.jobs.admission import Trial
from image_gateway.models.forms import CreateImageForm
from image_gateway.models.images import ImageInfo
from image_gateway.models.names import CONNECTION_NAME
from image_gateway.models.workflow_trials import TrialForm

app = create_app(generation_router(documented=True), result_router())


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
