"""`make deploy-local`: deploy a stack to an emulated AWS with IAM enforced, use it, update it and remove it."""

import argparse
import asyncio
import sys
from pathlib import Path

from sandbox.__main__ import run_until_signaled
from tests.deployment import emulator
from tests.deployment.run import Run


def main() -> None:
    """Run once; exit with 1 if anything failed or a signal came."""
    arguments = argparse.ArgumentParser(prog="make deploy-local", description=__doc__)
    arguments.add_argument("--template", type=Path, default=Path("template.yaml"), help="the template to deploy")
    if not emulator.PYTHON.exists():
        sys.exit("MiniStack needs Python 3.13, the version of the Lambda runtime: install python3.13")
    run = Run(arguments.parse_args().template)
    passed = False

    async def work() -> None:
        nonlocal passed
        passed = await run.run()

    if not asyncio.run(run_until_signaled(work())):
        sys.exit("interrupted: the emulator is stopped, and its folders are removed")
    sys.exit(0 if passed else 1)


main()
