"""Cold starts: whole processes, from their start to the response to the first event.

The handlers are measured in random order in each round, so that other load on the computer affects all of them alike.
"""

import json
import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from tests.benchmarks import events
from tests.benchmarks.environment import GENERATIONS, TOKENS, BenchmarkEnvironment, Subject

GATEWAY = "gateway"
USUAL = "usual"
WITHOUT_BYTECODE = "usual, no bytecode"
WITHOUT_BYTECODE_OWN_BOTO3 = "usual, no bytecode, own boto3"
BARE = "bare"
EVENTS = (("generate", "GenerateFunction"), ("config", "ConfigFunction"), ("jobs", "JobsFunction"))
"""The events' names, each with the function that gets it."""


@dataclass(frozen=True)
class Start:
    """One cold start to measure: the handler's name, the event's name, and what to run and check."""

    name: str
    event: str
    subject: Subject
    function: str
    spec: dict[str, Any]


def run(environment: BenchmarkEnvironment, rounds: int) -> dict[str, dict[str, dict[str, float]]]:
    """Measure cold starts in `rounds` rounds, after one round to warm up the system's caches.

    Without rounds, there is only the first, and the slow handlers without bytecode are measured with one event.

    Returns:
        Medians in milliseconds by event and handler: `wall_ms` and `cpu_ms` are the time until the first response,
        `ready_ms` is the time until the process is ready for its first event.
    """
    starts = _starts(environment, slow_events=EVENTS if rounds else EVENTS[:1])
    measurements: dict[tuple[str, str], list[dict[str, float]]] = defaultdict(list)
    for number in range(rounds + 1):
        for start in random.sample(starts, len(starts)):
            figures = environment.measure("cold", start.subject, start.function, **start.spec)
            # The first round only warms up the system's caches, unless it is the only one.
            if number or not rounds:
                measurements[start.event, start.name].append(figures)
    table: dict[str, dict[str, dict[str, float]]] = defaultdict(dict)
    for start in starts:
        runs = measurements[start.event, start.name]
        table[start.event][start.name] = {figure: median(run[figure] for run in runs) for figure in runs[0]}
    return dict(table)


def _starts(environment: BenchmarkEnvironment, *, slow_events: Sequence[tuple[str, str]]) -> Sequence[Start]:
    generation = _spec("POST", GENERATIONS, "user", '"url"', {"prompt": "a lighthouse in a storm"})
    # Whatever its bytecode, the usual handler reads the same job.
    job_ids = {
        name: _finished_job(environment, subject, generation)
        for name, subject in ((GATEWAY, environment.gateway("GenerateFunction")), (USUAL, environment.usual()))
    }
    starts = [Start(BARE, "none", environment.bare(), "GenerateFunction", {**generation, "contains": "ok"})]
    for event, function in EVENTS:
        subjects = {GATEWAY: environment.gateway(function), USUAL: environment.usual()}
        if (event, function) in slow_events:
            subjects[WITHOUT_BYTECODE] = environment.usual(bytecode=False)
            subjects[WITHOUT_BYTECODE_OWN_BOTO3] = environment.usual(bytecode=False, runtime_bytecode=False)
        for name, subject in subjects.items():
            spec = generation
            if event == "config":
                spec = _spec("GET", "/api/v1/images/config", "admin", "IMAGES_OPENAI_API_BASE_URL")
            if event == "jobs":
                job_id = job_ids[GATEWAY if name == GATEWAY else USUAL]
                spec = _spec("GET", f"/api/v1/images/jobs/{job_id}", "user", '"url"')
            starts.append(Start(name, event, subject, function, spec))
    return starts


def _spec(method: str, path: str, role: str, contains: str, body: Any = None) -> dict[str, Any]:
    return {"event": events.http(method, path, TOKENS[role], body), "status": 200, "contains": contains}


def _finished_job(environment: BenchmarkEnvironment, subject: Subject, generation: dict[str, Any]) -> str:
    """Run a generation and return its job's id, the part of the image's id before the last hyphen."""
    response = environment.measure("response", subject, "GenerateFunction", **generation)
    image_id: str = json.loads(response["body"])[0]["id"]
    return image_id.rpartition("-")[0]
