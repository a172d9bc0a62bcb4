"""HTTP by API Gateway: routes with declared access, problem documents, jobs that are waited for, one handler each.

What only edits need is in `openai_forms`, for the function that edits.
"""

from image_gateway.api.app import create_app, lambda_handler
from image_gateway.api.documented_errors import ASKING, refusals
from image_gateway.api.openai_submitting import ANSWERED, WARNED, WARNINGS, OpenAISubmittingDep, warnings_header
from image_gateway.api.ownership import ImageUrlDep, JobDep
from image_gateway.api.results import results
from image_gateway.api.routing import Access, GatewayDep, GuardedRoute, PrincipalDep, access
from image_gateway.api.submitting import SUBMITTED, SubmittingDep
from image_gateway.api.waiting import LOCATION

__all__ = [
    "ANSWERED",
    "ASKING",
    "LOCATION",
    "SUBMITTED",
    "WARNED",
    "WARNINGS",
    "Access",
    "GatewayDep",
    "GuardedRoute",
    "ImageUrlDep",
    "JobDep",
    "OpenAISubmittingDep",
    "PrincipalDep",
    "SubmittingDep",
    "access",
    "create_app",
    "lambda_handler",
    "refusals",
    "results",
    "warnings_header",
]
