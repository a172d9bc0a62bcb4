"""`make smoke`: the harmless steps against any deployment, such as after an update."""

import asyncio
import os
import sys

import httpx

from sandbox.client import GatewayClient
from tests.deployment.step import STEPS, HarmlessStep
from tests.deployment.steps import public_pages  # noqa: F401 - registers all steps

USAGE = "Name the deployment and an administrator's token: make smoke URL=https://… ADMIN_TOKEN=igw_…"


async def smoke(gateway: GatewayClient) -> int:
    """Run the harmless steps, and report each on stdout; return how many failed."""
    failed = 0
    steps = [step for step in STEPS if isinstance(step, HarmlessStep)]
    for step in steps:
        try:
            await step.run(gateway)
        except (AssertionError, LookupError, ValueError, httpx.HTTPError) as error:
            failed += 1
            print(f"FAILED  {step.name}: {type(error).__name__}: {error}", flush=True)
        else:
            print(f"ok  {step.name}", flush=True)
    print(
        f"make smoke {'FAILED' if failed else 'passed'}: {len(steps) - failed} of {len(steps)} steps of {gateway.url}"
    )
    return failed


def main() -> None:
    """Run once; exit with 1 if a step failed."""
    url, token = os.environ.get("URL", "").rstrip("/"), os.environ.get("ADMIN_TOKEN", "")
    if not url.startswith(("http://", "https://")) or not token:
        sys.exit(USAGE)
    sys.exit(1 if asyncio.run(smoke(GatewayClient(url, token, token))) else 0)


if __name__ == "__main__":
    main()
