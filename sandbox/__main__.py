"""`python -m sandbox run` keeps the gateway running; `python -m sandbox demo` makes one picture and ends."""

import argparse
import asyncio
import os
import signal
import sys
import tempfile
from pathlib import Path

import httpx

from sandbox.gateway import ENGINES, Sandbox


async def run(port: int) -> None:
    """Run until SIGINT or SIGTERM."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    options = {"admin_token": os.environ.get("ADMIN_TOKEN", ""), "user_token": os.environ.get("USER_TOKEN", "")}
    async with Sandbox(port=port, log=sys.stderr.fileno(), **options) as sandbox:
        print(f"gateway      {sandbox.url}")
        print(f"admin token  {sandbox.admin_token}")
        print(f"user token   {sandbox.user_token}")
        print(f"docs         {sandbox.url}/docs")
        print("try it       " + _curl(sandbox))
        for name, url in sandbox.engine_urls.items():
            print(f"engine       {name} {url} (paints with Pillow; it is not a model)")
        print("ready", flush=True)
        await stop.wait()


async def demo(prompt: str, engine: str, size: str, out: Path) -> None:
    """Make one picture through the front, a real handler and the engine, and write it to `out`."""
    with tempfile.TemporaryFile() as log:
        try:
            print("Starting the gateway: embedded AWS, sandbox engines, functions, HTTP front …", flush=True)
            async with Sandbox(log=log) as sandbox:
                await sandbox.configure(IMAGE_GENERATION_ENGINE=engine)
                print(f"POST {sandbox.url}/api/v1/images/generations  ({engine}, {size}: {prompt})", flush=True)
                answer = await sandbox.request(
                    "POST",
                    "/api/v1/images/generations",
                    token=sandbox.user_token,
                    json={"prompt": prompt, "size": size},
                )
                if answer.is_error:
                    raise SystemExit(f"The gateway answered {answer.status_code}: {answer.text}")
                (picture,) = answer.json()
                async with httpx.AsyncClient(trust_env=False) as client:
                    out.write_bytes((await client.get(picture["url"])).raise_for_status().content)
                for warning in picture.get("warnings") or []:
                    print(f"warning: {warning}")
                print(f"wrote {out} ({picture['width']}x{picture['height']}, {picture['content_type']}) from")
                print(picture["url"])
        except BaseException:
            log.seek(0)
            sys.stderr.write(log.read().decode(errors="replace"))
            raise


def _curl(sandbox: Sandbox) -> str:
    return (
        f"curl {sandbox.url}/api/v1/images/generations -H 'Authorization: Bearer {sandbox.user_token}' "
        """-H 'Content-Type: application/json' -d '{"prompt": "a lighthouse in a storm", "size": "1024x1024"}'"""
    )


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m sandbox", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    running = commands.add_parser("run")
    running.add_argument("--port", type=int, default=8000)
    showing = commands.add_parser("demo")
    showing.add_argument("--prompt", default="a lighthouse in a storm, oil on canvas")
    showing.add_argument("--engine", choices=ENGINES, default="openai")
    showing.add_argument("--size", default="1024x1024")
    showing.add_argument("--out", type=Path, default=Path("demo.png"))
    options = parser.parse_args()
    if options.command == "run":
        asyncio.run(run(options.port))
    else:
        asyncio.run(demo(options.prompt, options.engine, options.size, options.out))


if __name__ == "__main__":
    main()
