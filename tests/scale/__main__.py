"""`python -m tests.scale`: how many of many cold starts fail while Parameter Store throttles. `make scale` runs it."""

import argparse
import asyncio
import json
import os
import random
import subprocess
import sys
from pathlib import Path

from sandbox.embedded_aws import EmbeddedAws
from tests.scale.cold_starts import Outcome, Package, simulate, start_processes, summary
from tests.scale.shared_time import SharedTime
from tests.scale.throttled_parameter_store import READS_PER_SECOND, ThrottledParameterStore, TokenBucket

ROOT = Path(__file__).parents[2]


def main() -> None:
    """Start the processes, and print what came of them. The exit code is 1 if a first request failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.scale", description=__doc__)
    parser.add_argument("--processes", type=int, default=300, help="how many processes start (default: 300)")
    parser.add_argument("--within", type=float, default=3.0, help="seconds in which they start (default: 3)")
    parser.add_argument("--rate", type=float, default=READS_PER_SECOND, help="reads a second (default: 40)")
    parser.add_argument(
        "--code", type=Path, default=ROOT, help="the checkout whose package is used (default: this one)"
    )
    parser.add_argument("--simulate", action="store_true", help="in one process, in a time that passes at once")
    options = parser.parse_args()
    package = Package(options.code.resolve())
    run = _simulated if options.simulate else _real
    outcomes, served, throttled = run(options.processes, options.within, options.rate, package)
    print(f"{options.processes} cold starts within {options.within:g} s, at {options.rate:g} reads a second")
    print(f"Parameter Store served {served} reads and throttled {throttled}")
    print(summary(outcomes))
    sys.exit(any(outcome.status != 200 for outcome in outcomes))


def _real(processes: int, within: float, rate: float, package: Package) -> tuple[list[Outcome], int, int]:
    # AWS is in a process of its own, because a process with threads must not be forked.
    command = [sys.executable, "-m", "tests.scale.aws_process", str(rate)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as aws:
        assert aws.stdin
        assert aws.stdout
        os.environ.update(json.loads(aws.stdout.readline()))
        outcomes = start_processes(processes, within, package)
        aws.stdin.close()
        reads = json.loads(aws.stdout.readline())
    return outcomes, reads["served"], reads["throttled"]


def _simulated(processes: int, within: float, rate: float, package: Package) -> tuple[list[Outcome], int, int]:
    random.seed(0)

    async def run(aws: EmbeddedAws) -> tuple[list[Outcome], int, int]:
        time = SharedTime()
        store = ThrottledParameterStore(aws.url, TokenBucket(rate, rate, time))
        async with store.serving() as url:
            os.environ["AWS_ENDPOINT_URL_SSM"] = url
            outcomes = await simulate(processes, within, package, time)
        return outcomes, store.served, store.throttled

    with EmbeddedAws() as aws:
        return asyncio.run(run(aws))


if __name__ == "__main__":
    main()
