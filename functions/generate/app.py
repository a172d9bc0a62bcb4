"""The generate function: pictures from prompts."""

from fastapi import Response

from image_gateway.http import SUBMITTED, Access, SubmittingDep, access, create_app, lambda_handler
from image_gateway.models.forms import CreateImageForm
from image_gateway.models.pictures import Picture

app = create_app()


@app.post(
    "/api/v1/images/generations",
    tags=["images"],
    response_model=list[Picture],
    response_model_exclude_none=True,
    responses=SUBMITTED,
)
@access(Access.USER)
async def generations(form: CreateImageForm, submitting: SubmittingDep) -> list[Picture] | Response:
    """Generate pictures with the configured engine; they are stored, and answered as presigned URLs."""
    return await submitting.submit(form)


handler = lambda_handler(app)
