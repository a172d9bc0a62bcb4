"""ComfyUI: a workflow of the operator's, filled by a node map and run on the server's queue.

Facts: recorded traffic of ComfyUI 0.3.64. `n` counts runs of the workflow, or the batch that one run makes where the
map has a node of type `n`; a run gives every image that the workflow saves, so several output nodes give more than
`n`.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

from image_gateway.engines.comfyui.mask import as_alpha, everything, opaque_colours
from image_gateway.engines.comfyui.run import Outcome, OutputFile, Runner, run_ids
from image_gateway.engines.comfyui.server import ComfyUIServer, Missing
from image_gateway.engines.comfyui.workflow import Template, fresh_seed, request_values
from image_gateway.engines.fanout import gather
from image_gateway.engines.protocol import OPENAI_ONLY, EngineImage, EngineResult, ImageRequest, InputImage, unsupported
from image_gateway.engines.server import Connection
from image_gateway.errors import EngineError, EngineRejected, EngineUnavailable, NotConfigured
from image_gateway.models.config import ImagesConfig
from image_gateway.models.images import ModelInfo

_CHECKPOINTS = ("CheckpointLoaderSimple", "ckpt_name")
_MOST_RUNS = 10


class ComfyUIEngine:
    """A ComfyUI server and the workflow for it, made from one configuration.

    `clock` is monotonic, in seconds.
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
            raise NotConfigured(f"{self._prefix}_BASE_URL is not set", field=f"{self._prefix}_BASE_URL")
        self._config = config
        self._clock = clock
        self._key: str = getattr(config, f"{self._prefix}_API_KEY")
        self._server = ComfyUIServer(
            connection,
            "comfyui",
            base_url,
            headers={"Authorization": f"Bearer {self._key}"} if self._key else {},
            workflow_field=f"{self._prefix}_WORKFLOW",
        )

    async def generate(self, request: ImageRequest) -> EngineResult:
        """Fill the workflow and run it."""
        template = Template.load(self._config, self._prefix)
        return await self._make(request, template, request_values(request))

    async def edit(self, request: ImageRequest) -> EngineResult:
        """Upload the inputs, give them to the image nodes in order, and run the workflow.

        A mask goes to the nodes of type `mask`, which get one that lets everything change when the caller has none;
        without such a node it becomes the alpha of the first input.
        """
        template = Template.load(self._config, self._prefix)
        inputs = template.image_inputs()
        if not inputs:
            field = f"{self._prefix}_WORKFLOW_NODES"
            raise NotConfigured(f"{field} names no node of type image: an edit needs one", field=field)
        images = list(request.images[: len(inputs)])
        mask: InputImage | None = None
        warnings = []
        if len(request.images) > len(inputs):
            left_out = len(request.images) - len(inputs)
            warnings.append(f"the workflow takes {len(inputs)} input images: {left_out} more were ignored")
        elif 1 < len(images) < len(inputs):
            warnings.append(f"the workflow takes {len(inputs)} input images: the last one was used for the rest")
        if template.has("mask"):
            mask = await asyncio.to_thread(opaque_colours, request.mask) if request.mask else None
            mask = mask or await asyncio.to_thread(everything, images[0])
        elif request.mask:
            images[0] = await asyncio.to_thread(as_alpha, images[0], request.mask)
            if not template.reads_alpha(inputs[0][0]):
                warnings.append(f"mask was ignored: no node of {self._prefix}_WORKFLOW takes it")
        names = await self._upload(request.job_id, [*images, mask] if mask else images)
        values = request_values(request) | {"mask": names.pop() if mask else None}
        result = await self._make(request, template, values, names)
        result.warnings[:0] = warnings
        return result

    async def models(self) -> list[ModelInfo]:
        """What the node of type `model` offers, as the server says; a checkpoint loader where the map names none."""
        workflow = getattr(self._config, f"{self._prefix}_WORKFLOW").strip()
        named = Template.load(self._config, self._prefix).model_input() if workflow else None
        node_class, name = named or _CHECKPOINTS
        body = await self._server.json("GET", f"/object_info/{quote(node_class, safe='')}")
        info = body.get(node_class) if isinstance(body, dict) else None
        if not isinstance(info, dict):
            said = f"comfyui does not know the node type {node_class} (check {self._prefix}_WORKFLOW)"
            raise EngineRejected(said) if body == {} else EngineUnavailable(f"{self._prefix}_BASE_URL is no ComfyUI")
        return [ModelInfo(id=option, name=option) for option in _options(info, name)]

    async def verify(self) -> None:
        """Ask for the queue: only a ComfyUI has one of this shape. Costs nothing."""
        await self._server.queue()

    async def cancel(self, job_id: str) -> None:
        """Take every run of a job off the server's queue, and stop the one that runs."""
        await self._server.take_off(
            [prompt_id for number in range(_MOST_RUNS) for prompt_id in run_ids(job_id, number)]
        )

    async def _make(
        self, request: ImageRequest, template: Template, values: dict[str, Any], images: Sequence[str] = ()
    ) -> EngineResult:
        # A job's own runs wait for each other.
        queue_limit = self._server.connection.timeout * request.n
        runner = Runner(
            server=replace(self._server, model_inputs=template.model_inputs()),
            client_id=request.job_id,
            api_key=self._key,
            queue_limit=queue_limit,
            clock=self._clock,
        )
        job = _Job(template, runner, values, images)
        if template.has("n"):
            result = await self._run(job, 0)
            missing = request.n - len(result.images)
            if missing > 0 and not result.warnings:
                result = await gather([_ready(result), *(self._run(job, number + 1, n=1) for number in range(missing))])
        else:
            result = await gather(self._run(job, number) for number in range(request.n))
            if request.n > 1 and not template.has("seed"):
                result.warnings.append(
                    f"images may be the same: {template.field}_NODES names no node of type seed or n"
                )
        if len(result.images) > request.n:
            result.warnings.append(f"the workflow saved {len(result.images)} images for n={request.n}")
        result.warnings += template.ignored(request)
        result.warnings += unsupported(request, "comfyui", "quality", "background", "style", *OPENAI_ONLY)
        return result

    async def _run(self, job: "_Job", number: int, **changed: Any) -> EngineResult:
        """One run; once more with another seed where the server answered from its cache a file that is gone."""
        ids = run_ids(job.runner.client_id, number)
        values = {**job.values, **changed}
        outcome = await job.runner.run(ids, job.template.fill(values, job.images, run=number))
        try:
            return await self._images(job.template, outcome)
        except Missing:
            if not job.template.has("seed"):
                said = f"the server no longer has the image, and {job.template.field}_NODES names no node of type seed"
                raise EngineUnavailable(f"comfyui: {said}") from None
        reseeded = {**values, "seed": fresh_seed()}
        outcome = await job.runner.run(ids, job.template.fill(reseeded, job.images))
        try:
            result = await self._images(job.template, outcome)
        except Missing:
            raise EngineUnavailable("comfyui saved an image and no longer has it", may_have_cost=True) from None
        if values.get("seed") is not None:
            result.warnings.append("another seed was used: the server no longer has the image of the one asked for")
        return result

    async def _images(self, template: Template, outcome: Outcome) -> EngineResult:
        if not outcome.files:
            raise self._failure(template, outcome)
        seed = template.seed_in(outcome.workflow)
        images = await asyncio.gather(*(self._download(file) for file in outcome.files))
        problems = [self._server.clean(f"not every output was made: {problem}") for problem in outcome.problems]
        return EngineResult([EngineImage(data, seed=seed) for data in images], problems)

    def _failure(self, template: Template, outcome: Outcome) -> EngineError:
        said = self._server.clean("; ".join(outcome.problems))
        if outcome.failed:
            return EngineUnavailable(f"comfyui failed: {said}", may_have_cost=True)
        if outcome.problems:
            return EngineRejected(f"comfyui left out the outputs of {template.field}: {said}")
        return EngineRejected(f"comfyui ran the workflow and no image came: {template.field} has to save one")

    async def _download(self, file: OutputFile) -> bytes:
        params = {"filename": file.filename, "subfolder": file.subfolder, "type": file.type}
        answer = await self._server.send("GET", "/view", params=params)
        if not answer.content:
            raise EngineUnavailable(f"comfyui answered an empty file for {file.filename}", may_have_cost=True)
        return bytes(answer.content)

    async def _upload(self, job_id: str, images: Sequence[InputImage]) -> list[str]:
        """Upload images at once; the names to load them by, which are not always the ones they were given."""

        async def upload(number: int, image: InputImage) -> str:
            named = (f"{job_id}-{number}.{image.extension}", image.data, image.content_type)
            form = {"data": {"type": "input"}, "files": [("image", named)]}
            kept = await self._server.json("POST", "/upload/image", **form)
            if not isinstance(kept, dict) or not isinstance(kept.get("name"), str):
                raise EngineUnavailable("comfyui answered an upload without its name")
            return f"{kept['subfolder']}/{kept['name']}" if kept.get("subfolder") else kept["name"]

        return list(await asyncio.gather(*(upload(number, image) for number, image in enumerate(images))))


@dataclass(frozen=True, slots=True)
class _Job:
    """What the runs of one job have in common."""

    template: Template
    runner: Runner
    values: dict[str, Any]
    images: Sequence[str]


def _options(info: dict[str, Any], name: str) -> list[str]:
    """The choices of an input: `[[…], {}]`, or `["COMBO", {"options": […]}]` as newer servers say it."""
    groups = info.get("input") or {}
    for group in ("required", "optional"):
        declared = (groups.get(group) or {}).get(name)
        if not isinstance(declared, list) or not declared:
            continue
        choices = declared[0]
        if choices == "COMBO" and len(declared) > 1:
            choices = declared[1].get("options")
        return [choice for choice in choices if isinstance(choice, str)] if isinstance(choices, list) else []
    return []


async def _ready(result: EngineResult) -> EngineResult:
    return result
