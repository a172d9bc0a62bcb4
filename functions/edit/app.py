"""The edit function: edits of images, and uploads of inputs that are too large for the API."""

from fastapi import Response

from image_gateway.api import (
    OPENAI_RESPONSES,
    SUBMISSION_RESPONSES,
    Access,
    GatewayDep,
    OpenAISubmissionDep,
    OwnHostDep,
    PrincipalDep,
    SubmissionDep,
    access,
    create_app,
    error_responses,
    generation_router,
    lambda_handler,
    result_router,
)
from image_gateway.api.openai_forms import EDIT_BODY, EditParamsDep
from image_gateway.errors import Disabled, Forbidden, NotConfigured
from image_gateway.models.forms import EditImageForm, UploadForm
from image_gateway.models.images import ImageInfo, Upload

# With the routes for generations, so that its function URL is the one address of a client that does both.
app = create_app(generation_router(), result_router())


@app.post(
    "/api/v1/images/edit",
    tags=["images"],
    response_model=list[ImageInfo],
    response_model_exclude_none=True,
    responses=SUBMISSION_RESPONSES,
)
@access(Access.USER)
async def edit(
    form: EditImageForm,
    gateway: GatewayDep,
    principal: PrincipalDep,
    submission: SubmissionDep,
    own_host: OwnHostDep,
) -> list[ImageInfo] | Response:
    """Edit an image, or combine up to 16 images, with the configured engine."""
    remaining = submission.remaining_seconds
    return await submission.submit(
        form,
        lambda: gateway.inputs.resolve(form.image, form.mask, principal, own_host=own_host, remaining=remaining),
    )


@app.post(
    "/v1/images/edits", tags=["OpenAI"], summary="OpenAI Edits", responses=OPENAI_RESPONSES, openapi_extra=EDIT_BODY
)
@access(Access.USER)
async def openai_edits(
    params: EditParamsDep,
    gateway: GatewayDep,
    principal: PrincipalDep,
    submission: OpenAISubmissionDep,
    own_host: OwnHostDep,
) -> Response:
    """Edit images as with the OpenAI API: by a form with files, or by JSON. The model's name can select the engine."""
    remaining = submission.remaining_seconds
    return await submission.submit(
        params,
        lambda: gateway.inputs.resolve(params.image, params.mask, principal, own_host=own_host, remaining=remaining),
    )


@app.post(
    "/api/v1/images/uploads",
    tags=["images"],
    status_code=201,
    responses=error_responses(Forbidden, Disabled, NotConfigured),
)
@access(Access.USER)
async def upload(form: UploadForm, gateway: GatewayDep, principal: PrincipalDep) -> Upload:
    """Create a presigned POST for an input that is too large for the API. Its `id` is then an input for its owner."""
    await gateway.router.require_enabled(edit=True)
    return gateway.library.upload(form, principal)


handler = lambda_handler(app)
