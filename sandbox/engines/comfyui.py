"""A ComfyUI of the sandbox: the HTTP API of version 0.3.64 as recorded, painting in place of diffusion.

`state.knobs.latency` is the least time of a run, in seconds. Beside the routes of every sandbox engine,
`POST /sandbox/restart` makes the server forget its queue, history and cache.
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
from sandbox.engines.comfyui_nodes import NODES
from sandbox.engines.comfyui_queue import Machine, new_prompt_id
from sandbox.engines.comfyui_validation import Validation
from sandbox.engines.state import SandboxState, control_routes

Endpoint = Callable[[Request], Awaitable[Response]]

_BROKEN = "500 Internal Server Error\n\nServer got itself in trouble"


def create_app(state: SandboxState) -> Starlette:
    """The server; `app.state.machine` is its `Machine`."""
    server = _Server(state)
    routes = [
        Route("/prompt", server.answering(server.prompt), methods=["POST"]),
        Route("/queue", server.answering(server.queue), methods=["GET"]),
        Route("/queue", server.answering(server.change_queue), methods=["POST"]),
        Route("/interrupt", server.answering(server.interrupt), methods=["POST"]),
        Route("/history", server.answering(server.history), methods=["GET"]),
        Route("/history/{prompt_id}", server.answering(server.history), methods=["GET"]),
        Route("/view", server.answering(server.view), methods=["GET"]),
        Route("/upload/image", server.answering(server.upload_image), methods=["POST"]),
        Route("/upload/mask", server.answering(server.upload_mask), methods=["POST"]),
        Route("/object_info", server.answering(server.object_info), methods=["GET"]),
        Route("/object_info/{node_class:path}", server.answering(server.object_info), methods=["GET"]),
        Route("/system_stats", server.answering(server.system_stats), methods=["GET"]),
    ]

    async def restart(_request: Request) -> Response:
        await server.machine.restart()
        return Response(status_code=204)

    restarting = Route("/sandbox/restart", restart, methods=["POST"])
    app = Starlette(routes=[*routes, Mount("/api", routes=routes), restarting, *control_routes(state)])
    app.state.machine = server.machine
    return app


class _Server:
    def __init__(self, state: SandboxState) -> None:
        self._state = state
        self.machine = Machine(lambda: state.knobs.latency)

    def answering(self, endpoint: Endpoint) -> Endpoint:
        """Note what is asked, then give the fault that is due, or check the key and answer."""

        async def answer(request: Request) -> Response:
            multipart = request.headers.get("content-type", "").startswith("multipart/")
            try:
                body = None if multipart else await _json(request)
                files = await _files(request) if multipart else []
                await self._state.note(request, body=body, files=files)
                return await self._refused(request) or await endpoint(request)
            finally:
                await request.close()

        return answer

    async def _refused(self, request: Request) -> Response | None:
        # Here latency is a run's, not a request's.
        quick = SandboxState(replace(self._state.knobs, latency=0.0))
        if fault := await quick.trouble(request):
            return fault
        key = self._state.knobs.key
        if key and request.headers.get("authorization") != f"Bearer {key}":
            return JSONResponse({"error": "Authentication required"}, 401)
        return None

    async def prompt(self, request: Request) -> Response:
        """`POST /prompt`: validate, then queue what can run."""
        try:
            body = json.loads(await request.body())
            if "prompt" not in body:
                said = "No prompt provided"
                return _refusal("no_prompt", said, said)
            for node_id, node in dict(body["prompt"]).items():
                if "class_type" not in node:
                    said = "Cannot execute because a node is missing the class_type property."
                    return _refusal("invalid_prompt", said, f"Node ID '#{node_id}'")
                if node["class_type"] not in NODES:
                    said = f"Cannot execute because node {node['class_type']} does not exist."
                    return _refusal("invalid_prompt", said, f"Node ID '#{node_id}'")
        except (TypeError, ValueError):
            return PlainTextResponse(_BROKEN, 500)
        prompt = dict(body["prompt"])
        if not outputs_of(prompt):
            return _refusal("prompt_no_outputs", "Prompt has no outputs")
        checked = Validation(prompt, self.machine.files)
        if not checked.good:
            said = "Prompt outputs failed validation"
            return _refusal("prompt_outputs_failed_validation", said, node_errors=checked.errors)
        prompt_id = str(body["prompt_id"]) if "prompt_id" in body else new_prompt_id()
        extra = body.get("extra_data", {})
        if extra is not None and "client_id" in body:
            extra["client_id"] = body["client_id"]
        run = self.machine.submit(prompt, prompt_id, extra, checked.good)
        return JSONResponse({"prompt_id": prompt_id, "number": run.number, "node_errors": checked.errors})

    async def queue(self, _request: Request) -> Response:
        """`GET /queue`: what runs and what waits, workflows and all."""
        return JSONResponse(self.machine.queue())

    async def change_queue(self, request: Request) -> Response:
        """`POST /queue {"delete": [id]}` or `{"clear": true}`: 200 whatever happened."""
        body = await _json(request)
        if body.get("clear"):
            self.machine.pending.clear()
        self.machine.delete(body.get("delete", []))
        return Response()

    async def interrupt(self, request: Request) -> Response:
        """`POST /interrupt`: the run named, or whatever runs; 200 whatever happened."""
        body = await _json(request)
        self.machine.interrupt((body or {}).get("prompt_id"))
        return Response()

    async def history(self, request: Request) -> Response:
        """`GET /history[/{id}]`: finished runs."""
        history = self.machine.history
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
        data = self.machine.files.get((kind, subfolder, filename))
        if data is None:
            return Response(status_code=404)
        return Response(data, media_type="image/png", headers={"content-disposition": f'filename="{filename}"'})

    async def upload_image(self, request: Request) -> Response:
        """`POST /upload/image`: keep a file, under another name where the name is taken by other bytes."""
        form = await request.form() if request.headers.get("content-type", "").startswith("multipart/") else {}
        image = form.get("image")
        if not isinstance(image, UploadFile):
            return Response(status_code=400)
        return self._keep(await image.read(), image.filename or "", dict(form))

    async def upload_mask(self, request: Request) -> Response:
        """`POST /upload/mask`: keep `original_ref` with the alpha of the file sent."""
        form = await request.form()
        mask, original = form.get("image"), json.loads(str(form.get("original_ref") or "{}"))
        where = original.get("type", "output"), original.get("subfolder", ""), original.get("filename", "")
        if not isinstance(mask, UploadFile) or where not in self.machine.files:
            return Response(status_code=400)
        image = Image.open(io.BytesIO(self.machine.files[where])).convert("RGBA")
        alpha = Image.open(io.BytesIO(await mask.read())).convert("RGBA").getchannel("A")
        image.putalpha(alpha.resize(image.size))
        out = io.BytesIO()
        image.save(out, "PNG")
        return self._keep(out.getvalue(), mask.filename or "", dict(form))

    def _keep(self, data: bytes, name: str, form: dict[str, Any]) -> Response:
        kind, subfolder = str(form.get("type") or "input"), str(form.get("subfolder") or "")
        if kind not in ("input", "temp", "output"):
            return PlainTextResponse(_BROKEN, 500)
        if ".." in subfolder or not name:
            return Response(status_code=400)
        files, kept, number = self.machine.files, name, 0
        while form.get("overwrite") not in ("true", "1") and files.get((kind, subfolder, kept), data) != data:
            number += 1
            stem, dot, extension = name.rpartition(".")
            kept = f"{stem} ({number}){dot}{extension}"
        files[kind, subfolder, kept] = data
        return JSONResponse({"name": kept, "subfolder": subfolder, "type": kind})

    async def object_info(self, request: Request) -> Response:
        """`GET /object_info[/{class}]`: the node types; an unknown one is an empty object."""
        wanted = request.path_params.get("node_class")
        return JSONResponse({name: node.info(name) for name, node in NODES.items() if wanted in (None, name)})

    async def system_stats(self, _request: Request) -> Response:
        """`GET /system_stats`: what the machine is."""
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
