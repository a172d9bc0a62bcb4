"""A sandbox engine with ComfyUI's API, as recorded from version 0.3.64. It paints instead of running models.

`state.knobs.latency` is the minimum time of a run, in seconds. In addition to the routes of every sandbox engine,
`POST /sandbox/restart` makes the server forget its queue, history and cache; `DELETE /sandbox/outputs` removes the
files of its runs, as an administrator of the server does.
"""

import io
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from PIL import Image
from starlette.applications import Starlette
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route

from sandbox.engines.comfyui_graph import locate, outputs_of
from sandbox.engines.comfyui_more_nodes import NODES
from sandbox.engines.comfyui_queue import RunQueue, new_prompt_id
from sandbox.engines.comfyui_validation import Validation
from sandbox.engines.state import SandboxState, control_routes

Endpoint = Callable[[Request], Awaitable[Response]]

_BROKEN = "500 Internal Server Error\n\nServer got itself in trouble"


def create_app(state: SandboxState) -> Starlette:
    """Create the server. `app.state.run_queue` is its `RunQueue`."""
    server = _Server(state)
    routes = [
        Route("/prompt", server.with_knobs(server.prompt), methods=["POST"]),
        Route("/queue", server.with_knobs(server.queue), methods=["GET"]),
        Route("/queue", server.with_knobs(server.change_queue), methods=["POST"]),
        Route("/interrupt", server.with_knobs(server.interrupt), methods=["POST"]),
        Route("/history", server.with_knobs(server.history), methods=["GET"]),
        Route("/history/{prompt_id}", server.with_knobs(server.history), methods=["GET"]),
        Route("/view", server.with_knobs(server.view), methods=["GET"]),
        Route("/upload/image", server.with_knobs(server.upload_image), methods=["POST"]),
        Route("/upload/mask", server.with_knobs(server.upload_mask), methods=["POST"]),
        Route("/object_info", server.with_knobs(server.object_info), methods=["GET"]),
        Route("/object_info/{node_class:path}", server.with_knobs(server.object_info), methods=["GET"]),
        Route("/system_stats", server.with_knobs(server.system_stats), methods=["GET"]),
    ]

    async def restart(_request: Request) -> Response:
        await server.run_queue.restart()
        return Response(status_code=204)

    async def remove_outputs(_request: Request) -> Response:
        server.run_queue.remove_outputs()
        return Response(status_code=204)

    removing = Route("/sandbox/outputs", remove_outputs, methods=["DELETE"])
    restarting = Route("/sandbox/restart", restart, methods=["POST"])
    app = Starlette(routes=[*routes, Mount("/api", routes=routes), restarting, removing, *control_routes(state)])
    app.state.run_queue = server.run_queue
    return app


class _Server:
    def __init__(self, state: SandboxState) -> None:
        self._state = state
        self.run_queue = RunQueue(lambda: state.knobs.latency)

    def with_knobs(self, endpoint: Endpoint) -> Endpoint:
        """Wrap an endpoint: record the request, apply faults and check the key first."""

        async def wrapped(request: Request) -> Response:
            multipart = request.headers.get("content-type", "").startswith("multipart/")
            try:
                body = None if multipart else await _json(request)
                files = await _files(request) if multipart else []
                await self._state.record_request(request, body=body, files=files)
                return await self._refused(request) or await endpoint(request)
            finally:
                await request.close()

        return wrapped

    async def _refused(self, request: Request) -> Response | None:
        # The latency applies to runs, not to requests.
        without_latency = SandboxState(replace(self._state.knobs, latency=0.0))
        if fault := await without_latency.apply_knobs(request):
            return fault
        key = self._state.knobs.key
        if key and request.headers.get("authorization") != f"Bearer {key}":
            return JSONResponse({"error": "Authentication required"}, 401)
        return None

    async def prompt(self, request: Request) -> Response:
        """`POST /prompt`: validate the workflow and queue the outputs that can run."""
        try:
            body = json.loads(await request.body())
            if "prompt" not in body:
                message = "No prompt provided"
                return _refusal("no_prompt", message, message)
            for node_id, node in dict(body["prompt"]).items():
                if "class_type" not in node:
                    message = "Cannot execute because a node is missing the class_type property."
                    return _refusal("invalid_prompt", message, f"Node ID '#{node_id}'")
                if node["class_type"] not in NODES:
                    message = f"Cannot execute because node {node['class_type']} does not exist."
                    return _refusal("invalid_prompt", message, f"Node ID '#{node_id}'")
        except (TypeError, ValueError):
            return PlainTextResponse(_BROKEN, 500)
        prompt = dict(body["prompt"])
        if not outputs_of(prompt):
            return _refusal("prompt_no_outputs", "Prompt has no outputs")
        validation = Validation(prompt, self.run_queue.files)
        if not validation.valid_outputs:
            message = "Prompt outputs failed validation"
            return _refusal("prompt_outputs_failed_validation", message, node_errors=validation.errors)
        prompt_id = str(body["prompt_id"]) if "prompt_id" in body else new_prompt_id()
        extra = body.get("extra_data", {})
        if extra is not None and "client_id" in body:
            extra["client_id"] = body["client_id"]
        run = self.run_queue.submit(prompt, prompt_id, extra, validation.valid_outputs)
        return JSONResponse({"prompt_id": prompt_id, "number": run.number, "node_errors": validation.errors})

    async def queue(self, _request: Request) -> Response:
        """`GET /queue`: current and waiting runs, with their workflows."""
        return JSONResponse(self.run_queue.queue())

    async def change_queue(self, request: Request) -> Response:
        """`POST /queue {"delete": [id]}` or `{"clear": true}`: always a 200."""
        body = await _json(request)
        if body.get("clear"):
            self.run_queue.pending.clear()
        self.run_queue.delete(body.get("delete", []))
        return Response()

    async def interrupt(self, request: Request) -> Response:
        """`POST /interrupt`: interrupt the given run, or the current one; always a 200."""
        body = await _json(request)
        self.run_queue.interrupt((body or {}).get("prompt_id"))
        return Response()

    async def history(self, request: Request) -> Response:
        """`GET /history[/{id}]`: finished runs."""
        history = self.run_queue.history
        prompt_id = request.path_params.get("prompt_id")
        if prompt_id is None:
            return JSONResponse(history)
        return JSONResponse({prompt_id: history[prompt_id]} if prompt_id in history else {})

    async def view(self, request: Request) -> Response:
        """`GET /view?filename&subfolder&type`: a file's bytes."""
        query = request.query_params
        filename, subfolder = query.get("filename", ""), query.get("subfolder", "")
        if not filename:
            return Response(status_code=404)
        kind, _, filename = locate(filename, query.get("type", "output"))
        if query["filename"].startswith("/") or ".." in query["filename"] or kind not in ("output", "input", "temp"):
            return Response(status_code=400)
        if ".." in subfolder:
            return Response(status_code=403)
        data = self.run_queue.files.get((kind, subfolder, filename))
        if data is None:
            return Response(status_code=404)
        return Response(data, media_type="image/png", headers={"content-disposition": f'filename="{filename}"'})

    async def upload_image(self, request: Request) -> Response:
        """`POST /upload/image`: store a file; under another name if a different file has the name."""
        form = await request.form() if request.headers.get("content-type", "").startswith("multipart/") else {}
        image = form.get("image")
        if not isinstance(image, UploadFile):
            return Response(status_code=400)
        return self._store(await image.read(), image.filename or "", dict(form))

    async def upload_mask(self, request: Request) -> Response:
        """`POST /upload/mask`: store `original_ref` with the alpha of the uploaded file."""
        form = await request.form()
        mask, original = form.get("image"), json.loads(str(form.get("original_ref") or "{}"))
        key = original.get("type", "output"), original.get("subfolder", ""), original.get("filename", "")
        if not isinstance(mask, UploadFile) or key not in self.run_queue.files:
            return Response(status_code=400)
        image = Image.open(io.BytesIO(self.run_queue.files[key])).convert("RGBA")
        alpha = Image.open(io.BytesIO(await mask.read())).convert("RGBA").getchannel("A")
        image.putalpha(alpha.resize(image.size))
        out = io.BytesIO()
        image.save(out, "PNG")
        return self._store(out.getvalue(), mask.filename or "", dict(form))

    def _store(self, data: bytes, name: str, form: dict[str, Any]) -> Response:
        kind, subfolder = str(form.get("type") or "input"), str(form.get("subfolder") or "")
        if kind not in ("input", "temp", "output"):
            return PlainTextResponse(_BROKEN, 500)
        if ".." in subfolder or not name:
            return Response(status_code=400)
        files, stored_name, number = self.run_queue.files, name, 0
        while form.get("overwrite") not in ("true", "1") and files.get((kind, subfolder, stored_name), data) != data:
            number += 1
            stem, dot, extension = name.rpartition(".")
            stored_name = f"{stem} ({number}){dot}{extension}"
        files[kind, subfolder, stored_name] = data
        return JSONResponse({"name": stored_name, "subfolder": subfolder, "type": kind})

    async def object_info(self, request: Request) -> Response:
        """`GET /object_info[/{class}]`: the node types; an empty object for an unknown one."""
        node_class = request.path_params.get("node_class")
        return JSONResponse({name: node.info(name) for name, node in NODES.items() if node_class in (None, name)})

    async def system_stats(self, _request: Request) -> Response:
        """`GET /system_stats`: the server's software and devices."""
        system = {"os": "posix", "comfyui_version": "0.3.64", "python_version": "3.13", "pytorch_version": "none"}
        return JSONResponse({"system": system, "devices": [{"name": "sandbox painter", "type": "cpu", "index": 0}]})


def _refusal(kind: str, message: str, details: str = "", node_errors: dict[str, Any] | None = None) -> Response:
    error = {"type": kind, "message": message, "details": details, "extra_info": {}}
    return JSONResponse({"error": error, "node_errors": node_errors or {}}, 400)


async def _json(request: Request) -> Any:
    try:
        return json.loads(await request.body())
    except ValueError:
        return None


async def _files(request: Request) -> list[dict[str, Any]]:
    form = await request.form()
    return [
        {"name": name, "filename": part.filename, "type": part.content_type, "size": part.size}
        for name, part in form.multi_items()
        if isinstance(part, UploadFile)
    ]
