"""Routes of generations.

The API sends them to the generate function. The edit function has them too, at its own URL.
"""

from fastapi import APIRouter, Response

from image_gateway.api.openai_responses import OPENAI_RESPONSES
from image_gateway.api.openai_submission import OpenAISubmissionDep
from image_gateway.api.routing import Access, access, create_router
from image_gateway.api.submission import SUBMISSION_RESPONSES, SubmissionDep
from image_gateway.models.forms import CreateImageForm
from image_gateway.models.images import ImageInfo
from image_gateway.models.openai import ImageGenerateParams


def generation_router(*, documented: bool = False) -> APIRouter:
    """Create the routes of generations. `documented` is set by one function only, so that OpenAPI has them once."""
    router = create_router(include_in_schema=documented)

    @router.post(
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

    @router.post("/v1/images/generations", tags=["OpenAI"], summary="OpenAI Generations", responses=OPENAI_RESPONSES)
    @access(Access.USER)
    async def openai_generations(params: ImageGenerateParams, submission: OpenAISubmissionDep) -> Response:
        """Generate images as with the OpenAI API. The model's name can select the engine."""
        return await submission.submit(params)

    return router
