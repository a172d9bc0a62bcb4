"""The edit function: images from images and prompts, and uploads of inputs too large for the API."""

from fastapi import Response

from image_gateway.api import (
    OPENAI_RESPONSES,
    SUBMISSION_RESPONSES,
    Access,
    GatewayDep,
    OpenAISubmissionDep,
    PrincipalDep,
    SubmissionDep,
    access,
    create_app,
    error_responses,
    lambda_handler,
    result_router,
)
from image_gateway.api.openai_forms import EDIT_BODY, EditParamsDep
from image_gateway.errors import Disabled, Forbidden, NotConfigured
from image_gateway.models.forms import EditImageForm, UploadForm
from image_gateway.models.images import ImageInfo, Upload

app = create_app(result_router())


@app.post(
    "/api/v1/images/edit",
    tags=["images"],
    response_model=list[ImageInfo],
    response_model_exclude_none=True,
    responses=SUBMISSION_RESPONSES,
)
@access(Access.USER)
async def edit(
    form: EditImageForm, gateway: GatewayDep, principal: PrincipalDep, submitting: SubmissionDep
) -> list[ImageInfo] | Response:
    """Edit one image, or make one from up to 16, with the configured engine."""
    # Nothing is fetched for a caller whom a switch or a limit would turn away afterwards.
    await submitting.admit(form)
    images, mask = await gateway.inputs.resolve(form.image, form.mask, principal)
    return await submitting.submit(form, images, mask)


@app.post("/v1/images/edits", tags=["OpenAI"], responses=OPENAI_RESPONSES, openapi_extra=EDIT_BODY)
@access(Access.USER)
async def openai_edits(
    params: EditParamsDep, gateway: GatewayDep, principal: PrincipalDep, submitting: OpenAISubmissionDep
) -> Response:
    """Edit images as the OpenAI API does: a form with files, or JSON. The model's name may name the engine."""
    await submitting.admit(params)
    images, mask = await gateway.inputs.resolve(params.image, params.mask, principal)
    return await submitting.submit(params, images, mask)


@app.post(
    "/api/v1/images/uploads",
    tags=["images"],
    status_code=201,
    responses=error_responses(Forbidden, Disabled, NotConfigured),
)
@access(Access.USER)
async def upload(form: UploadForm, gateway: GatewayDep, principal: PrincipalDep) -> Upload:
    """A presigned POST for an input that is too large for the API; its `id` is then an input for its owner."""
    await gateway.executor.require_enabled(edit=True)
    return gateway.library.upload(form, principal)


handler = lambda_handler(app)
