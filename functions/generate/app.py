"""The generate function: pictures from prompts."""

from image_gateway.http import Access, GatewayDep, access, create_app, lambda_handler
from image_gateway.image_store import new_job_id
from image_gateway.models.forms import CreateImageForm
from image_gateway.models.pictures import Picture

app = create_app()


@app.post("/api/v1/images/generations", tags=["images"], response_model_exclude_none=True)
@access(Access.USER)
async def generations(form: CreateImageForm, gateway: GatewayDep) -> list[Picture]:
    """Generate pictures with the configured engine; they are stored, and answered as presigned URLs."""
    return await gateway.service.generate(form, new_job_id())


handler = lambda_handler(app)
