"""`python -m sandbox run` keeps the gateway running; `python -m sandbox demo` makes one image and exits."""

import argparse
import asyncio
import base64
import mimetypes
import os
import shlex
import signal
import sys
import tempfile
from collections.abc import Coroutine, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Self

import httpx

from sandbox.client import ENGINES, GatewayClient
from sandbox.errors import SandboxError
from sandbox.gateway import ENGINE_KEY, KEYED, WITHOUT_EFFECT, Sandbox
from sandbox.run_options import given_parameters, given_tokens, share
from sandbox.template import STACK

MAX_INLINE_BYTES = 4_000_000
"""Size of the largest photo that is sent in the request itself: as base64 it fits into Lambda's event limit (6 MB)."""

STARTING = "Starting the gateway: embedded AWS, sandbox engines, functions, HTTP front …"


class Photo(NamedTuple):
    """An image to edit: the file and its content."""

    path: Path
    data: bytes

    @classmethod
    async def read(cls, path: Path) -> Self:
        """Read the file.

        Raises:
            SandboxError: the file cannot be read.
        """
        try:
            return cls(path, await asyncio.to_thread(path.read_bytes))
        except OSError as error:
            raise SandboxError(f"{path} cannot be read: {error.strerror}") from None


async def run(
    port: int, admin_token: str, user_token: str, parameters: Mapping[str, str], conflicts: float = 0.0
) -> None:
    """Run the gateway until the task is canceled.

    Args:
        port: the port of the HTTP front; 0 for any free one.
        admin_token: the administrator's token; empty for a new one.
        user_token: the user's token; empty for a new one.
        parameters: template parameters that differ from the sandbox's defaults.
        conflicts: share of writes that DynamoDB refuses because of a transaction, from 0 to 1.
    """
    print(STARTING, flush=True)
    log = sys.stderr.fileno()
    sandbox = Sandbox(
        log=log,
        port=port,
        admin_token=admin_token,
        user_token=user_token,
        parameters=parameters,
        stack=STACK,
        conflicts=conflicts,
    )
    async with sandbox:
        for name, value in parameters.items():
            note = " (no effect in the sandbox)" if name in WITHOUT_EFFECT else ""
            print(f"parameter    {name}={value}{note}")
        print(f"gateway      {sandbox.url}")
        print(f"admin token  {sandbox.admin_token}")
        print(f"user token   {sandbox.user_token}")
        print(f"console      {sandbox.url}/console/  (sign in with a token)")
        print(f"docs         {sandbox.url}/docs")
        print("try it       " + _curl(sandbox))
        for name, url in sandbox.engine_urls.items():
            key = f"key {ENGINE_KEY}; " if name in KEYED else ""
            print(f"engine       {name} {url} ({key}paints with Pillow; it is not a model)")
        print("ready", flush=True)
        await asyncio.Event().wait()


async def demo(prompt: str, engine: str, size: str, photo: Path | None, out: Path) -> None:
    """Make one image through the HTTP front, a real handler and an engine, and write it to `out`.

    Args:
        prompt: what the image shows, or what to change in the photo.
        engine: the engine's name.
        size: `WIDTHxHEIGHT` in pixels.
        photo: an image to edit; None generates one.
        out: the file to write.

    Raises:
        SandboxError: the photo cannot be read, or the gateway refuses the request.
    """
    input_photo = await Photo.read(photo) if photo else None
    function = "EditFunction" if photo else "GenerateFunction"
    with tempfile.TemporaryFile() as log:
        try:
            print(STARTING, flush=True)
            warm = ("ConfigFunction", function, "WorkerFunction")
            async with Sandbox(log=log, stack=STACK, warm=warm) as sandbox:
                await make_image(sandbox, prompt, out, engine=engine, size=size, photo=input_photo)
        except SandboxError:
            raise
        except Exception:  # any failure: the functions' log explains it
            log.seek(0)
            sys.stderr.write(log.read().decode(errors="replace"))
            raise


async def make_image(
    gateway: GatewayClient, prompt: str, out: Path, *, engine: str, size: str, photo: Photo | None
) -> None:
    """Make one image with a running gateway, write it to `out` and report each step on stdout.

    Raises:
        SandboxError: the gateway refuses the request.
    """
    await gateway.use(engine)
    path = "/api/v1/images/edit" if photo else "/api/v1/images/generations"
    form = {"prompt": prompt, "size": size}
    if photo:
        form["image"] = await _input_image(gateway, photo)
    print(f"POST {gateway.url}{path}  ({engine}, {size}: {prompt})", flush=True)
    image = (await _post(gateway, path, form))[0]
    await _download(image["url"], out)
    for warning in image.get("warnings") or []:
        print(f"warning: {warning}")
    print(f"wrote {out} ({image['width']}x{image['height']}, {image['content_type']}) from")
    print(image["url"])


async def _post(gateway: GatewayClient, path: str, form: dict[str, Any]) -> Any:
    response = await gateway.request("POST", path, token=gateway.user_token, json=form, follow_redirects=True)
    if response.is_client_error:
        raise SandboxError(f"The gateway responded with {response.status_code}: {response.text}")
    return response.raise_for_status().json()


async def _input_image(gateway: GatewayClient, photo: Photo) -> str:
    """Return the photo as an edit's input: base64, or the id of an upload if it is too large for the request."""
    length = len(photo.data)
    if length <= MAX_INLINE_BYTES:
        return base64.b64encode(photo.data).decode()
    content_type = mimetypes.guess_type(photo.path)[0] or "image/jpeg"
    upload = await _post(gateway, "/api/v1/images/uploads", {"content_type": content_type, "bytes": length})
    print(f"POST {upload['url']}  ({photo.path}: {length} bytes, too large for the API)", flush=True)
    async with httpx.AsyncClient(trust_env=False) as client:
        response = await client.post(upload["url"], data=upload["fields"], files={"file": photo.data})
        response.raise_for_status()
    upload_id: str = upload["id"]
    return upload_id


async def _download(url: str, out: Path) -> None:
    async with httpx.AsyncClient(trust_env=False) as client:
        response = await client.get(url)
    await asyncio.to_thread(out.write_bytes, response.raise_for_status().content)


async def run_until_signaled(work: Coroutine[None, None, None]) -> bool:
    """Run `work`, and cancel it at SIGINT or SIGTERM so that it stops what it started.

    Further signals are ignored, so that they do not interrupt the cleanup.

    Returns:
        Whether `work` completed before a signal.
    """
    signaled = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, signaled.set)
    work_task, signal_task = asyncio.create_task(work), asyncio.create_task(signaled.wait())
    await asyncio.wait({work_task, signal_task}, return_when=asyncio.FIRST_COMPLETED)
    signal_task.cancel()
    work_task.cancel()
    try:
        await work_task
    except asyncio.CancelledError:
        return False
    return True


def _curl(sandbox: Sandbox) -> str:
    return shlex.join(
        [
            "curl",
            f"{sandbox.url}/api/v1/images/generations",
            "-H",
            f"Authorization: Bearer {sandbox.user_token}",
            "-H",
            "Content-Type: application/json",
            "-d",
            '{"prompt": "a lighthouse in a storm", "size": "1024x1024"}',
        ]
    )


def main() -> None:
    """Run the command that the command line names."""
    parser = argparse.ArgumentParser(prog="python -m sandbox", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    run_options = commands.add_parser("run")
    run_options.add_argument("--port", type=int, default=os.environ.get("PORT", "8000"), help="0: any free port")
    run_options.add_argument(
        "--conflicts",
        type=share,
        default=os.environ.get("CONFLICTS") or "0",
        help="share of writes that DynamoDB refuses because of a transaction, from 0 to 1",
    )
    run_options.add_argument("parameters", nargs="*", metavar="Name=value", help="parameters of the template")
    demo_options = commands.add_parser("demo")
    demo_options.add_argument("--prompt", default="a lighthouse in a storm, oil on canvas")
    demo_options.add_argument("--engine", choices=ENGINES, default="openai")
    demo_options.add_argument("--size", default="1024x1024")
    demo_options.add_argument("--edit", type=Path, metavar="PHOTO", help="an image to edit")
    demo_options.add_argument("--out", type=Path, default=Path("demo.png"))
    options = parser.parse_args()
    try:
        if options.command == "run":
            work = run(options.port, *given_tokens(), given_parameters(options.parameters), options.conflicts)
        else:
            work = demo(options.prompt, options.engine, options.size, options.edit, options.out)
        completed = asyncio.run(run_until_signaled(work))
    except SandboxError as error:
        raise SystemExit(str(error)) from None
    if options.command == "demo" and not completed:
        raise SystemExit("interrupted")


if __name__ == "__main__":
    main()
