"""ComfyUI: the operator's workflow, filled by a node map and run on the server's queue.

Facts: recorded traffic of ComfyUI 0.3.64. `n` is the number of runs of the workflow, or the batch size of one run where
the map has a node of type `n`. A run returns every image that the workflow saves, so a workflow with several output
nodes returns more than `n`.
"""

import asyncio
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import Any

from image_gateway.engines.comfyui.cloud import ComfyCloudServer, cloud_url, is_cloud
from image_gateway.engines.comfyui.inputs import upload_inputs
from image_gateway.engines.comfyui.job_runs import JobRuns
from image_gateway.engines.comfyui.node_classes import NodeInfo, mismatches
from image_gateway.engines.comfyui.run import Runner, run_ids
from image_gateway.engines.comfyui.server import ComfyUIServer
from image_gateway.engines.comfyui.workflow import WorkflowTemplate, request_values
from image_gateway.engines.connection import Connection
from image_gateway.engines.credentials import credentials
from image_gateway.engines.fanout import gather_results
from image_gateway.engines.protocol import (
    OPENAI_ONLY_FIELDS,
    EngineResult,
    ImageRequest,
    InputImage,
    SentRequest,
    unsupported_warnings,
)
from image_gateway.engines.result_limits import MAX_IMAGES
from image_gateway.errors import EngineRejected, NotConfigured
from image_gateway.models.config import ImagesConfig
from image_gateway.models.images import ModelInfo

_CHECKPOINTS = ("CheckpointLoaderSimple", "ckpt_name")
_MAX_RUNS = 10
_MAX_QUESTIONS = 8
"""How many node classes are requested at once."""


class ComfyUIEngine:
    """A ComfyUI server and its workflow, created from one configuration.

    `clock` is a monotonic clock, in seconds.
    """

    def __init__(
        self,
        config: ImagesConfig,
        connection: Connection,
        *,
        edit: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._prefix = "IMAGES_EDIT_COMFYUI" if edit else "COMFYUI"
        base_url: str = getattr(config, f"{self._prefix}_BASE_URL")
        if not base_url:
            raise connection.not_set(f"{self._prefix}_BASE_URL", "base_url")
        self._config = config
        self._is_edit = edit
        self._clock = clock
        key: str = getattr(config, f"{self._prefix}_API_KEY")
        is_on_cloud = is_cloud(base_url)
        own = {"X-API-Key": key} if is_on_cloud else {"Authorization": f"Bearer {key}"}
        # A password is none of Comfy's own keys, and everybody who sees the queue would see it.
        is_password = connection.access is not None and connection.access.auth == "basic"
        self._partner_key = "" if is_password else key
        server = ComfyCloudServer if is_on_cloud else ComfyUIServer
        self._server = server(
            connection,
            "comfyui",
            cloud_url(base_url) if is_on_cloud else base_url,
            headers=credentials(connection, key, own),
            workflow_field=f"{self._prefix}_WORKFLOW",
        )

    async def generate(self, request: ImageRequest) -> EngineResult:
        """Fill the workflow and run it."""
        template = WorkflowTemplate.load(self._config, self._prefix)
        return await self._make(request, template, request_values(request))

    async def edit(self, request: ImageRequest) -> EngineResult:
        """Upload the input images, assign them to the image nodes in order, and run the workflow.

        The mask goes to the nodes of type `mask`. If the caller sends none, they get a mask that lets every pixel
        change. If the map has no such node, the mask becomes the alpha of the first input image.
        """
        template = WorkflowTemplate.load(self._config, self._prefix)
        inputs = template.image_inputs()
        if not inputs:
            field = f"{self._prefix}_WORKFLOW_NODES"
            raise NotConfigured(f"{field} names no node of type image, which an edit needs", field=field)
        images = list(request.images[: len(inputs)])
        mask: InputImage | None = None
        warnings = []
        if len(request.images) > len(inputs):
            left_out = len(request.images) - len(inputs)
            warnings.append(f"the workflow takes {len(inputs)} input images: {left_out} more were ignored")
        elif 1 < len(images) < len(inputs):
            warnings.append(f"the workflow takes {len(inputs)} input images: the last one was used for the rest")
        convert = self._server.connection.convert_image
        if template.has("mask"):
            mask = (
                await convert("with_colors", request.mask)
                if request.mask
                else await convert("fully_editable", images[0])
            )
        elif request.mask:
            images[0] = await convert("as_alpha", images[0], request.mask)
            if not template.reads_alpha(inputs[0][0]):
                warnings.append(f"mask was ignored: no node of {self._prefix}_WORKFLOW takes it")
        names = await upload_inputs(self._server, [*images, mask] if mask else images)
        values = request_values(request) | {"mask": names.pop() if mask else None}
        result = await self._make(request, template, values, names)
        result.warnings[:0] = warnings
        return result

    async def models(self) -> list[ModelInfo]:
        """Return the choices of the node of type `model`; of the checkpoint loader where there is no workflow yet."""
        workflow = getattr(self._config, f"{self._prefix}_WORKFLOW").strip()
        model_input = WorkflowTemplate.load(self._config, self._prefix).model_input() if workflow else None
        if workflow and model_input is None:
            return []
        node_class, name = model_input or _CHECKPOINTS
        info = await self._server.node_info(node_class)
        if info is None:
            raise EngineRejected(f"comfyui does not know the node type {node_class} (check {self._prefix}_WORKFLOW)")
        choices = info.choices(name) or []
        return [ModelInfo(id=choice, name=choice) for choice in choices if isinstance(choice, str)]

    async def verify(self) -> None:
        """Request the queue, which only a ComfyUI server has in this form, and compare the workflow with the server.

        The workflow is compared as a request without a model would send it. This is free.
        """
        await self._server.queue()
        field = f"{self._prefix}_WORKFLOW"
        if not getattr(self._config, field).strip():
            return
        template = WorkflowTemplate.load(self._config, self._prefix)
        classes = await self.node_classes({node["class_type"] for node in template.workflow.values()})
        workflow = template.fill({"model": self._default_model()})
        problems = mismatches(workflow, classes, template.filled_inputs())
        if text := self._server.safe_line("; ".join(problem.text for problem in problems)):
            raise EngineRejected(f"comfyui cannot run {field}: {text}", field=field)

    @property
    def server_url(self) -> str:
        """The base URL of the server."""
        return self._server.base_url

    async def node_classes(self, names: Collection[str]) -> dict[str, NodeInfo | None]:
        """Return what the server declares about node classes; None for one that it does not have. This is free."""
        server = self._server.with_operation_deadline()
        limit = asyncio.Semaphore(_MAX_QUESTIONS)

        async def read(name: str) -> NodeInfo | None:
            async with limit:
                return await server.node_info(name)

        return dict(zip(names, await asyncio.gather(*map(read, names)), strict=True))

    async def cancel(self, job_id: str) -> None:
        """Remove every run of a job from the server's queue and interrupt the one that runs."""
        await self._server.cancel_runs(
            [prompt_id for number in range(_MAX_RUNS) for prompt_id in run_ids(job_id, number)]
        )

    def _default_model(self) -> str | None:
        """Return the model of requests that name none; None for the workflow's own, or if they go to another engine."""
        config = self._config
        engine = config.IMAGE_EDIT_ENGINE if self._is_edit else config.IMAGE_GENERATION_ENGINE
        model = config.IMAGE_EDIT_MODEL if self._is_edit else config.IMAGE_GENERATION_MODEL
        return (model or None) if engine == "comfyui" else None

    async def _make(
        self, request: ImageRequest, template: WorkflowTemplate, values: dict[str, Any], images: Sequence[str] = ()
    ) -> EngineResult:
        # The runs of one job wait for each other in the queue.
        queue_limit = self._server.connection.timeout * request.n
        runner = Runner(
            server=replace(self._server, model_inputs=template.model_inputs(), seed_inputs=template.seed_inputs()),
            client_id=request.job_id,
            api_key=self._partner_key,
            output_nodes=template.output_nodes(),
            queue_limit=queue_limit,
            clock=self._clock,
        )
        runs = 1 if template.has("n") else request.n
        job = JobRuns(self._server, template, runner, values, images, MAX_IMAGES // runs)
        if template.has("n"):
            result = await job.run(0)
            missing = request.n - len(result.images)
            if missing > 0 and not result.warnings:
                result = await gather_results((job.run(number + 1, n=1) for number in range(missing)), done=result)
        else:
            result = await gather_results(job.run(number) for number in range(request.n))
            if request.n > 1 and not template.has("seed"):
                result.warnings.append(
                    f"images may be the same: {template.field}_NODES names no node of type seed or n"
                )
        takes_size = template.has("width") and template.has("height")
        result.sent = SentRequest(
            size=str(request.size) if request.size and takes_size else None, quality=request.quality
        )
        if len(result.images) > request.n:
            result.warnings.append(f"the workflow saved {len(result.images)} images for n={request.n}")
        result.warnings += template.ignored(request)
        result.warnings += unsupported_warnings(
            request, "comfyui", "quality", "background", "style", *OPENAI_ONLY_FIELDS
        )
        return result
