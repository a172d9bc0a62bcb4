"""Paths that begin with several slashes: a function URL ends with a slash, and clients add `/v1/…` to it."""

from starlette.types import ASGIApp, Receive, Scope, Send


class LeadingSlashes:
    """Reads a path such as `//v1/models` as `/v1/models`.

    AWS passes paths of function URLs on as they are. Whether API Gateway finds a route for such a path is not
    documented; if it does, the function has it too. Slashes elsewhere in a path are a mistake of the base URL, which an
    error names: see `api.unknown_paths`.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application with one slash at the beginning of the path."""
        path = scope.get("path", "")
        if path.startswith("//"):
            scope = {**scope, "path": "/" + path.lstrip("/")}
        await self._app(scope, receive, send)
