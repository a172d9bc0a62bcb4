"""Cold starts: whole processes, from their start to the first event answered, in turns: noise meets all alike."""

import json
import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from tests.benchmarks import events
from tests.benchmarks.stage import GENERATIONS, TOKENS, Stage, Subject

GATEWAY = "gateway"
USUAL = "usual"
WITHOUT = "usual, no bytecode"
WITHOUT_AND_SDK = "usual, no bytecode, own boto3"
BARE = "bare"


@dataclass(frozen=True)
class Start:
    """A process to be started: whose, for which event, and what its answer must hold."""

    name: str
    event: str
    subject: Subject
    function: str
    spec: dict[str, Any]


def run(stage: Stage, rounds: int) -> dict[str, dict[str, dict[str, float]]]:
    """Medians in milliseconds by event and handler, of so many rounds after one to warm up.

    `wall_ms` and `cpu_ms` are to the first answer, `ready_ms` to being ready for the first event.
    """
    starts = _starts(stage)
    seen: dict[tuple[str, str], list[dict[str, float]]] = defaultdict(list)
    for number in range(rounds + 1):
        for start in random.sample(starts, len(starts)):
            figures = stage.measure("cold", start.subject, start.function, **start.spec)
            # The first round only warms the system's caches, unless it is the only one.
            if number or not rounds:
                seen[start.event, start.name].append(figures)
    table: dict[str, dict[str, dict[str, float]]] = defaultdict(dict)
    for start in starts:
        runs = seen[start.event, start.name]
        table[start.event][start.name] = {figure: median(run[figure] for run in runs) for figure in runs[0]}
    return dict(table)


def _starts(stage: Stage) -> Sequence[Start]:
    generation = _asking("POST", GENERATIONS, "user", '"url"', {"prompt": "a lighthouse in a storm"})
    starts = [Start(BARE, "none", stage.bare(), "GenerateFunction", {**generation, "contains": "ok"})]
    for event, function in (("generate", "GenerateFunction"), ("config", "ConfigFunction"), ("jobs", "JobsFunction")):
        for name, subject in {
            GATEWAY: stage.gateway(function),
            USUAL: stage.usual(),
            WITHOUT: stage.usual(bytecode=False),
            WITHOUT_AND_SDK: stage.usual(bytecode=False, runtime_bytecode=False),
        }.items():
            spec = generation
            if event == "config":
                spec = _asking("GET", "/api/v1/images/config", "admin", "IMAGES_OPENAI_API_BASE_URL")
            if event == "jobs":
                maker = stage.gateway("GenerateFunction") if name == GATEWAY else subject
                spec = _asking("GET", f"/api/v1/images/jobs/{_a_job(stage, maker, generation)}", "user", '"url"')
            starts.append(Start(name, event, subject, function, spec))
    return starts


def _asking(method: str, path: str, role: str, contains: str, body: Any = None) -> dict[str, Any]:
    return {"event": events.http(method, path, TOKENS[role], body), "status": 200, "contains": contains}


def _a_job(stage: Stage, subject: Subject, generation: dict[str, Any]) -> str:
    """The id of a job that was done: what an image's id begins with."""
    answer = stage.measure("answer", subject, "GenerateFunction", **generation)
    image: str = json.loads(answer["body"])[0]["id"]
    return image.rpartition("-")[0]
