"""`python -m tests.scale.aws_process RATE`: embedded AWS whose Parameter Store has a limit.

It prints a line with the environment of a function, runs until its input ends, and then prints how many reads were
served and throttled.
"""

import asyncio
import json
import sys

from sandbox.embedded_aws import EmbeddedAws
from tests.scale.throttled_parameter_store import ThrottledParameterStore, TokenBucket


async def main(rate: float) -> None:
    """Run until the input ends."""
    with EmbeddedAws() as aws:
        store = ThrottledParameterStore(aws.url, TokenBucket(rate, rate))
        async with store.serving() as url:
            # The time limits are those of a deployment.
            variables = {**aws.variables, "AWS_ENDPOINT_URL_SSM": url, "AWS_TIME_LIMIT_FACTOR": "1"}
            print(json.dumps(variables), flush=True)
            await asyncio.to_thread(sys.stdin.read)
        print(json.dumps({"served": store.served, "throttled": store.throttled}), flush=True)


if __name__ == "__main__":
    asyncio.run(main(float(sys.argv[1])))
