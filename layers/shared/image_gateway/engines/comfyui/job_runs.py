"""The runs of one job's workflow on a server, and the images that they saved."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from image_gateway.engines.comfyui.run import Outcome, Runner, run_ids
from image_gateway.engines.comfyui.saved_files import OutputFile
from image_gateway.engines.comfyui.server import ComfyUIServer, PathNotFound, SeedTooLarge
from image_gateway.engines.comfyui.workflow import MAX_SEED, WorkflowTemplate, fresh_seed
from image_gateway.engines.protocol import EngineImage, EngineResult
from image_gateway.engines.result_limits import first_images
from image_gateway.errors import EngineError, EngineRejected, EngineUnavailable, NotConfigured


@dataclass(frozen=True, slots=True)
class JobRuns:
    """Runs the workflow of one job, as often as its engine wants.

    Attributes:
        server: has the files that runs save.
        template: the workflow and its node map.
        runner: runs a filled workflow.
        values: what the request says, by the node map's types.
        images: the names of the uploaded input images.
        max_images: how many images of each run are kept.
    """

    server: ComfyUIServer
    template: WorkflowTemplate
    runner: Runner
    values: Mapping[str, Any]
    images: Sequence[str]
    max_images: int

    async def run(self, number: int, **overrides: Any) -> EngineResult:
        """Run the workflow once; run it again with another seed if the server's cached result names a deleted file."""
        ids = run_ids(self.runner.client_id, number)
        values = {**self.values, **overrides}
        max_seed = MAX_SEED
        try:
            outcome = await self.runner.run(ids, self.template.fill(values, self.images, run=number))
        except SeedTooLarge as refusal:
            if values.get("seed") is not None and values["seed"] > refusal.maximum:
                raise
            max_seed = refusal.maximum
            # The refused run has left its id unused.
            ids = run_ids(self.runner.client_id, number)
            outcome = await self.runner.run(ids, self.template.fill(values, self.images, run=number, max_seed=max_seed))
        try:
            return await self._images(outcome)
        except PathNotFound:
            if not self.template.has("seed"):
                field = f"{self.template.field}_NODES"
                detail = (
                    "comfyui answers from its cache, and the file of an identical run is gone: name a node of type "
                    f"seed in {field}, so that no two runs are identical, or restart comfyui"
                )
                raise NotConfigured(detail, field=field) from None
        reseeded = {**values, "seed": fresh_seed()}
        outcome = await self.runner.run(ids, self.template.fill(reseeded, self.images, max_seed=max_seed))
        try:
            result = await self._images(outcome)
        except PathNotFound:
            raise EngineUnavailable("comfyui saved an image and no longer has it", may_have_cost=True) from None
        if values.get("seed") is not None:
            result.warnings.append("another seed was used: the server no longer has the image of the requested one")
        return result

    async def _images(self, outcome: Outcome) -> EngineResult:
        if not outcome.files:
            raise self._failure(outcome)
        seed = self.template.seed_in(outcome.workflow)
        files, too_many = first_images(outcome.files, self.max_images, "comfyui")
        outcomes = await asyncio.gather(*(self._download(file) for file in files), return_exceptions=True)
        images = [outcome for outcome in outcomes if isinstance(outcome, bytes)]
        lost = [outcome for outcome in outcomes if isinstance(outcome, EngineError) and outcome.may_have_cost]
        # A later attempt finds the run again, and the files whose download failed, unless that cannot help.
        failures = [outcome for outcome in outcomes if isinstance(outcome, BaseException) and outcome not in lost]
        if failures or not images:
            raise (failures or lost)[0]
        problems = [f"{len(lost)} of {len(outcomes)} images were lost: {lost[0].detail}"] if lost else []
        problems += [self.server.safe_line(f"not every output was made: {problem}") for problem in outcome.problems]
        if outcome.others:
            names = self.server.safe_line(", ".join(outcome.others))
            problems.append(f"the workflow also saved {names}, which is no image and was left out")
        count = self.values.get("n") or 1
        if outcome.animated and count > 1 and self.template.has("n"):
            problems.append(f"the workflow makes one animation, and n={count} is the number of its frames")
        result = EngineResult([EngineImage(data, seed=seed) for data in images], [*too_many, *problems])
        result.seconds, result.lost = outcome.seconds, len(lost)
        return result

    def _failure(self, outcome: Outcome) -> EngineError:
        problems = self.server.safe_line("; ".join(outcome.problems))
        if outcome.failed:
            return EngineUnavailable(f"comfyui failed: {problems}", may_have_cost=True)
        if outcome.problems:
            return EngineRejected(f"comfyui left out the outputs of {self.template.field}: {problems}")
        required = f"{self.template.field} has to save an image"
        if chosen := self.template.output_nodes():
            required = f"node {', '.join(sorted(chosen))} of {self.template.field}_NODES has to save an image"
        if outcome.others:
            names = self.server.safe_line(", ".join(outcome.others))
            detail = f"comfyui ran the workflow and saved {names}, which is no image: {required}"
            return EngineRejected(detail, may_have_cost=True)
        return EngineRejected(f"comfyui ran the workflow but returned no image: {required}", may_have_cost=True)

    async def _download(self, file: OutputFile) -> bytes:
        params = {"filename": file.filename, "subfolder": file.subfolder, "type": file.type}
        content = await self.server.view(params)
        if not content:
            raise EngineUnavailable(f"comfyui returned an empty file for {file.filename}", may_have_cost=True)
        return content
