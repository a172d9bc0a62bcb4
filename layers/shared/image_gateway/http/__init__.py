"""HTTP by API Gateway: routes with declared access, problem documents, jobs that are waited for, one handler each."""

from image_gateway.http.app import create_app, lambda_handler
from image_gateway.http.owned import JobDep, PictureUrlDep
from image_gateway.http.routing import Access, GatewayDep, PrincipalDep, access
from image_gateway.http.submitting import SUBMITTED, SubmittingDep
from image_gateway.http.waiting import MAX_HOPS, NOT_DONE, WaitingDep

__all__ = [
    "MAX_HOPS",
    "NOT_DONE",
    "SUBMITTED",
    "Access",
    "GatewayDep",
    "JobDep",
    "PictureUrlDep",
    "PrincipalDep",
    "SubmittingDep",
    "WaitingDep",
    "access",
    "create_app",
    "lambda_handler",
]
