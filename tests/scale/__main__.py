"""`python -m tests.scale`: how many of many cold starts fail while Parameter Store throttles. `make scale` runs it."""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

from tests.scale.cold_starts import start_processes, summary
from tests.scale.throttled_parameter_store import READS_PER_SECOND

ROOT = Path(__file__).parents[2]


def main() -> None:
    """Start AWS in a process of its own, start the processes, and print what came of them."""
    parser = argparse.ArgumentParser(prog="python -m tests.scale", description=__doc__)
    parser.add_argument("--processes", type=int, default=300, help="how many processes start (default: 300)")
    parser.add_argument("--within", type=float, default=3.0, help="seconds in which they start (default: 3)")
    parser.add_argument("--rate", type=float, default=READS_PER_SECOND, help="reads a second (default: 40)")
    parser.add_argument(
        "--code", type=Path, default=ROOT, help="the checkout whose package is used (default: this one)"
    )
    options = parser.parse_args()
    # A process of its own, because a process with threads must not be forked.
    command = [sys.executable, "-m", "tests.scale.aws_process", str(options.rate)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as aws:
        assert aws.stdin
        assert aws.stdout
        os.environ.update(json.loads(aws.stdout.readline()))
        outcomes = start_processes(options.processes, options.within, options.code.resolve())
        aws.stdin.close()
        reads = json.loads(aws.stdout.readline())
    print(f"{options.processes} cold starts within {options.within:g} s, at {options.rate:g} reads a second")
    print(f"Parameter Store served {reads['served']} reads and throttled {reads['throttled']}")
    print(summary(outcomes))
    sys.exit(any(outcome.status != 200 for outcome in outcomes))


if __name__ == "__main__":
    main()
