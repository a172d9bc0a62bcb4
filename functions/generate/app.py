"""The generate function: pictures from prompts."""

from image_gateway.http import Access, GatewayDep, PrincipalDep, access, create_app, lambda_handler
from image_gateway.models.forms import CreateImageForm
from image_gateway.models.pictures import Picture
from image_gateway.presentation import pictures

app = create_app()


@app.post("/api/v1/images/generations", tags=["images"], response_model_exclude_none=True)
@access(Access.USER)
async def generations(form: CreateImageForm, gateway: GatewayDep, principal: PrincipalDep) -> list[Picture]:
    """Generate pictures with the configured engine; they are stored, and answered as presigned URLs."""
    job = await gateway.submission.submit(form, principal)
    return pictures(job, gateway.images)


handler = lambda_handler(app)
