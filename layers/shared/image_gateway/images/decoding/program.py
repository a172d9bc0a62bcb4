"""The program of a decoding process: it reads requests from its standard input until that is closed.

Before it touches an image, it limits its own memory (`RLIMIT_AS`) and CPU time (`ITIMER_PROF`). Exceeding the first is
a `MemoryError` where Pillow allocates, and may be the end of the process elsewhere. Exceeding the second ends the
process by `SIGPROF`. The process has none of the gateway's environment variables, so none of its credentials.
"""

import os
import resource
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from image_gateway.errors import InvalidImage
from image_gateway.images.convert import ConversionError
from image_gateway.images.decoding.limits import (
    LARGE_MEMORY,
    MAX_GROWTH,
    MAX_RESPONSE_BYTES,
    cpu_seconds,
    required_memory,
)
from image_gateway.images.decoding.messages import MAX_ERROR_CHARS, Header, read_header, read_parts, write_message
from image_gateway.images.decoding.operations import announced_pixels, run_operation

_MAX_REQUEST_BYTES = 2 * LARGE_MEMORY


class Limiter(Protocol):
    """Limits what this process may use."""

    def start(self, memory: int, seconds: float) -> None:
        """Begin with an image: from now on, the process may use so many bytes and seconds of CPU time more."""

    def change(self, memory: int, seconds: float) -> None:
        """Change the memory since `start`, and the seconds from now on."""

    def stop(self) -> bool:
        """End the limits. Returns whether the process can take another image."""


class ProcessLimiter:
    """Limits this process by means of the operating system."""

    def __init__(self) -> None:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        signal.signal(signal.SIGPROF, signal.SIG_DFL)
        self._initial = self._started = _address_space()

    def start(self, memory: int, seconds: float) -> None:
        """Begin with an image."""
        self._started = _address_space()
        self.change(memory, seconds)

    def change(self, memory: int, seconds: float) -> None:
        """Change the limits."""
        _limit_address_space(self._started + memory)
        signal.setitimer(signal.ITIMER_PROF, seconds)

    def stop(self) -> bool:
        """End the limits."""
        signal.setitimer(signal.ITIMER_PROF, 0)
        _limit_address_space(resource.RLIM_INFINITY)
        return _address_space() - self._initial <= MAX_GROWTH


def serve(requests: BinaryIO, responses: BinaryIO, limiter: Limiter) -> None:
    """Answer requests until the process should be replaced.

    A request's header has the `operation`, its `options` and the most `memory` in bytes; its parts are images. The
    header of a response has the facts about the image that follows, or `needs` (more memory, in bytes), or `error` (a
    sentence about the image), or `exceeded` (`memory`, `pixels` or `bytes`). `last` is true if no other request is
    read.

    Raises:
        EOFError: there are no more requests.
        BrokenPipeError: nobody reads the responses.
    """
    reusable = True
    while reusable:
        request = read_header(requests)
        limiter.start(required_memory(sum(request["sizes"])), cpu_seconds())
        header, image = _respond_within_memory(request, requests, limiter)
        if len(image) > MAX_RESPONSE_BYTES:
            header, image = {"exceeded": "bytes"}, b""
        reusable = limiter.stop() and "exceeded" not in header
        write_message(responses, {**header, "last": not reusable}, [image])


def _respond_within_memory(request: Header, requests: BinaryIO, limiter: Limiter) -> tuple[dict[str, Any], bytes]:
    try:
        return _respond(request, requests, limiter)
    except MemoryError:
        return {"exceeded": "memory"}, b""


def _respond(request: Header, requests: BinaryIO, limiter: Limiter) -> tuple[dict[str, Any], bytes]:
    parts = read_parts(requests, request, _MAX_REQUEST_BYTES)
    pixels, bytes_per_pixel = announced_pixels(parts[0])
    needed = min(required_memory(sum(request["sizes"]), pixels, bytes_per_pixel), LARGE_MEMORY)
    if needed > request["memory"]:
        return {"needs": needed}, b""
    limiter.change(needed, cpu_seconds(pixels, conversion=request["operation"] == "reencode"))
    try:
        return run_operation(request["operation"], request["options"], parts)
    except InvalidImage as error:
        if isinstance(error.__cause__, MemoryError):
            raise MemoryError from None
        return {"error": error.detail[:MAX_ERROR_CHARS]}, b""
    except ConversionError as error:
        if isinstance(error.__cause__, MemoryError):
            raise MemoryError from None
        return {"error": str(error)[:MAX_ERROR_CHARS]}, b""


def _give_up_rights() -> None:
    """Let this process write no files, and be the first one that the kernel ends if the function has no memory left."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    with suppress(OSError):  # only Linux has this
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")


def _limit_address_space(size: int) -> None:
    # macOS has no such limit. It is for development only.
    with suppress(ValueError, OSError):
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (hard if size == resource.RLIM_INFINITY else size, hard))


def _address_space() -> int:
    """Return the size of this process's address space in bytes, which is what `RLIMIT_AS` limits."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    except OSError:
        return 0
    return pages * resource.getpagesize()


def main() -> None:
    """Serve the process that started this one."""
    _give_up_rights()
    # What a library prints must not get into a response.
    responses = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    with suppress(BrokenPipeError, EOFError):
        serve(sys.stdin.buffer, responses, ProcessLimiter())
