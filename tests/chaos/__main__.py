"""`make chaos`: kill processes and let AWS fail while the gateway works, and account for every paid image."""

import argparse
import asyncio
import random
import sys
import time
from pathlib import Path

from tests.chaos.run import Options, Run


def main() -> None:
    """Run once; exit with 1 if the ledger is not balanced."""
    arguments = argparse.ArgumentParser(prog="make chaos")
    arguments.add_argument("--seed", type=int, default=None, help="by default a random one, which is printed")
    arguments.add_argument("--kills", type=int, default=200, help="how many processes are killed")
    arguments.add_argument("--outage", type=float, default=14.0, help="how long each service is away, in seconds")
    arguments.add_argument("--log", type=Path, required=True, help="file for the functions' logs")
    given = arguments.parse_args()
    seed = random.randrange(10_000) if given.seed is None else given.seed
    started = time.monotonic()

    def report(line: str) -> None:
        print(f"{time.monotonic() - started:4.0f} s  {line}", flush=True)

    report(f"seed {seed}; the functions' logs are in {given.log}")
    given.log.parent.mkdir(parents=True, exist_ok=True)
    with given.log.open("wb") as log:
        result = asyncio.run(Run(Options(seed=seed, kills=given.kills, outage=given.outage), log, report).run())
    report(f"ends of jobs: {result.ledger.ends()}; {result.ledger.repeats()} repeated events")
    for text in result.ledger.failures():
        print(f"for example: {text}")
    for name, lines in (*result.ledger.problems.items(), ("held", result.ledger.held)):
        for line in lines:
            print(f"{name}: {line}")
    print(result.line)
    sys.exit(0 if result.ledger.balanced else 1)


main()
