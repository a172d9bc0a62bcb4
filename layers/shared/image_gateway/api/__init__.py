"""The HTTP API behind API Gateway: routes with declared access, problem documents, waiting for jobs, Lambda handlers.

`openai_forms` is not imported here, because only the edit function needs it.
"""

from image_gateway.api.app import create_app, lambda_handler
from image_gateway.api.documented_errors import ENGINE_ERRORS, error_responses
from image_gateway.api.generation_routes import generation_router
from image_gateway.api.openai_responses import (
    DOCUMENTED_WARNINGS,
    OPENAI_RESPONSES,
    WARNINGS_HEADER,
    format_warnings,
)
from image_gateway.api.openai_submission import OpenAISubmissionDep
from image_gateway.api.owned_resources import ImageKeyDep, JobDep, OwnHostDep
from image_gateway.api.preconditions import IfMatchDep
from image_gateway.api.result_routes import result_router
from image_gateway.api.routing import Access, GatewayDep, PrincipalDep, access, create_router
from image_gateway.api.submission import SUBMISSION_RESPONSES, SubmissionDep
from image_gateway.api.waiting import DOCUMENTED_LOCATION

__all__ = [
    "DOCUMENTED_LOCATION",
    "DOCUMENTED_WARNINGS",
    "ENGINE_ERRORS",
    "OPENAI_RESPONSES",
    "SUBMISSION_RESPONSES",
    "WARNINGS_HEADER",
    "Access",
    "GatewayDep",
    "IfMatchDep",
    "ImageKeyDep",
    "JobDep",
    "OpenAISubmissionDep",
    "OwnHostDep",
    "PrincipalDep",
    "SubmissionDep",
    "access",
    "create_app",
    "create_router",
    "error_responses",
    "format_warnings",
    "generation_router",
    "lambda_handler",
    "result_router",
]
