"""A decoding process, as the gateway sees it: started, used, and replaced."""

import atexit
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import BinaryIO, Literal, cast

from image_gateway.images.decoding.limits import MAX_RESPONSE_BYTES
from image_gateway.images.decoding.messages import Header, check_response, read_header, read_parts, write_message

_MAX_IDLE = 2
_EXIT_SECONDS = 5.0
"""How long a process may take to end that has closed its pipes: its memory is freed meanwhile."""
_PROGRAM = "import sys; sys.path[:] = sys.argv[1:]; from image_gateway.images.decoding.program import main; main()"
# Lambda's Python may find its own libraries by this variable.
_INHERITED_VARIABLES = ("LD_LIBRARY_PATH",)
# Each further arena would reserve address space, which is limited, for each thread of a decoder. With a fixed
# threshold, free memory is given back, so that the process can take the next image.
_VARIABLES = {"MALLOC_ARENA_MAX": "1", "MALLOC_TRIM_THRESHOLD_": "1048576"}

End = Literal["time", "crash", "killed", "exit"]
"""Why a process ended: it used up its CPU time, it crashed, somebody else ended it, or it ended by itself."""


class ProcessEndedError(Exception):
    """The process ended before it responded; `end` says why."""

    def __init__(self, end: End) -> None:
        super().__init__(end)
        self.end = end


class DecodingProcess:
    """A child process that decodes images, one after another.

    It is started by `vfork` and `exec`, which are safe in a process with threads and an event loop. It shares nothing
    with the gateway but two pipes, so it needs no `/dev/shm`, which Lambda does not have.

    Raises:
        OSError: the process cannot be started.
    """

    def __init__(self) -> None:
        inherited = {name: os.environ[name] for name in _INHERITED_VARIABLES if name in os.environ}
        # No other environment variables, which hold credentials, and no start-up code of packages (-I and -S).
        self._process = subprocess.Popen(  # noqa: S603 - the program is ours
            [sys.executable, "-I", "-S", "-c", _PROGRAM, *sys.path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**inherited, **_VARIABLES},
        )
        self._requests = cast("BinaryIO", self._process.stdin)
        self._responses = cast("BinaryIO", self._process.stdout)
        self._ready = True

    def take(self) -> bool:
        """Reserve the process for one request. Returns False if it has ended or is working."""
        was_ready, self._ready = self._ready and self._process.poll() is None, False
        return was_ready

    def exchange(self, request: Header, parts: Sequence[bytes]) -> tuple[Header, bytes]:
        """Send a request to a process that was taken, and return its response: a header and an image. This blocks.

        Raises:
            ProcessEndedError: the process ended, or sent something else than a response.
        """
        try:
            write_message(self._requests, request, parts)
            header = read_header(self._responses)
            check_response(header)
            (image,) = read_parts(self._responses, header, MAX_RESPONSE_BYTES)
        except ValueError:
            raise ProcessEndedError("crash") from None
        except (OSError, EOFError):
            raise ProcessEndedError(self._wait_for_end()) from None
        self._ready = not header.get("last")
        return header, image

    def is_ready(self) -> bool:
        """Whether the process has not ended and works on nothing."""
        return self._ready and self._process.poll() is None

    def end(self) -> None:
        """End the process at once. A thread in `exchange` then returns."""
        self._process.kill()
        self._process.wait()
        with suppress(OSError):
            self._requests.close()
        self._responses.close()

    def _wait_for_end(self) -> End:
        try:
            code = self._process.wait(_EXIT_SECONDS)
        except subprocess.TimeoutExpired:
            return "crash"
        ends: dict[int, End] = {-signal.SIGPROF: "time", -signal.SIGKILL: "killed"}
        return ends.get(code, "crash" if code < 0 else "exit")


_idle: list[DecodingProcess] = []
"""Processes that wait for an image. They belong to this process, as its event loop does, and outlive its gateways."""


def take_process() -> DecodingProcess:
    """Return an idle process, or start one. Return it by `give_back`.

    Raises:
        OSError: no process can be started.
    """
    while _idle:
        process = _idle.pop()
        if process.take():
            return process
        process.end()
    process = DecodingProcess()
    process.take()
    return process


def give_back(process: DecodingProcess) -> None:
    """Keep a process for the next image. It is ended if it is still working, or if enough others are idle."""
    if process.is_ready() and len(_idle) < _MAX_IDLE:
        _idle.append(process)
    else:
        process.end()


def warm_up() -> None:
    """Start a process for the next image, unless one is idle. It loads its modules while the image is fetched."""
    if not _idle:
        with suppress(OSError):
            _idle.append(DecodingProcess())


@atexit.register
def end_all() -> None:
    """End all idle processes."""
    while _idle:
        _idle.pop().end()
