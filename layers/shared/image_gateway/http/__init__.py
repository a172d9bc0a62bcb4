"""HTTP by API Gateway: routes with declared access, problem documents, jobs that are waited for, one handler each.

What only edits need is in `openai_forms`, for the function that edits.
"""

from image_gateway.http.app import create_app, lambda_handler
from image_gateway.http.openai_door import ANSWERED, WARNED, WARNINGS, OpenAISubmittingDep, warnings_header
from image_gateway.http.owned import JobDep, PictureUrlDep
from image_gateway.http.refusals import ASKING, refusals
from image_gateway.http.results import results
from image_gateway.http.routing import Access, GatewayDep, GuardedRoute, PrincipalDep, access
from image_gateway.http.submitting import SUBMITTED, SubmittingDep
from image_gateway.http.waiting import LOCATION

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
    "JobDep",
    "OpenAISubmittingDep",
    "PictureUrlDep",
    "PrincipalDep",
    "SubmittingDep",
    "access",
    "create_app",
    "lambda_handler",
    "refusals",
    "results",
    "warnings_header",
]
