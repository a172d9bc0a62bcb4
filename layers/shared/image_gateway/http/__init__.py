"""HTTP by API Gateway: routes with declared access, problem documents, one handler per function."""

from image_gateway.http.app import create_app, lambda_handler
from image_gateway.http.routing import Access, GatewayDep, PrincipalDep, access

__all__ = ["Access", "GatewayDep", "PrincipalDep", "access", "create_app", "lambda_handler"]
