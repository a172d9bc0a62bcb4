"""A sandbox server with the API of Comfy Cloud: ComfyUI's, with what docs.comfy.org says is different.

Source: "Cloud API reference" and its OpenAPI document, read in November 2026. Only `/api` exists, with the key in
`X-API-Key`; `/jobs/{id}` in place of history; files are at signed URLs of another host, which must not get the key.
"""

from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.types import Receive, Scope, Send

from sandbox.engines.comfyui import create_app as create_comfyui
from sandbox.engines.state import SandboxState, control_routes

if TYPE_CHECKING:
    from sandbox.engines.comfyui_queue import RunQueue

FILES_URL = "https://files.example/"
"""Where files are said to be."""


def create_app(state: SandboxState, key: str) -> Starlette:
    """Create the server. `app.state.run_queue` is its queue, also of the files behind signed URLs."""
    comfyui = create_comfyui(state)
    queue: RunQueue = comfyui.state.run_queue

    async def job(request: Request) -> Response:
        await state.record_request(request)
        prompt_id = request.path_params["id"]
        waiting = {item[1] for item in queue.queue()["queue_pending"]}
        running = {item[1] for item in queue.queue()["queue_running"]}
        if prompt_id in waiting | running:
            return JSONResponse({"id": prompt_id, "status": "in_progress" if prompt_id in running else "pending"})
        if (entry := queue.history.get(prompt_id)) is None:
            return JSONResponse({"error": "job not found"}, 404)
        errors = [data for name, data in entry["status"]["messages"] if name == "execution_error"]
        stopped = any(name == "execution_interrupted" for name, _ in entry["status"]["messages"])
        status = "failed" if errors else "cancelled" if stopped else "completed"
        body = {"id": prompt_id, "status": status, "outputs": entry["outputs"]}
        return JSONResponse({**body, "execution_error": errors[0]} if errors else body)

    async def cancel(request: Request) -> Response:
        await state.record_request(request)
        queue.delete([request.path_params["id"]])
        queue.interrupt(request.path_params["id"])
        return JSONResponse({"cancelled": True})

    async def view(request: Request) -> Response:
        await state.record_request(request)
        return RedirectResponse(f"{FILES_URL}{request.query_params['filename']}?signature=1", 302)

    async def gone(_request: Request) -> Response:
        return JSONResponse({"error": "not found"}, 404)

    routes = [
        Route("/jobs/{id}", job),
        Route("/jobs/{id}/cancel", cancel, methods=["POST"]),
        Route("/view", view),
        Route("/history/{id}", gone),
        Mount("/", comfyui),
    ]
    api = Starlette(routes=routes)

    async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
        refused = Request(scope).headers.get("x-api-key") != key
        answer = JSONResponse({"error": "unauthorized"}, 401) if refused else api
        await answer(scope, receive, send)

    app = Starlette(routes=[*control_routes(state), Mount("/api", guarded)])
    app.state.run_queue = queue
    return app
