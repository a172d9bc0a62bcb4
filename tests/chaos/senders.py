"""Which process sent a request: from Linux's tables of sockets."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path


def process_of(port: int, pids: Iterable[int]) -> int:
    """Return which of some processes has the connection from a local TCP port; 0 if none has it."""
    sockets = {f"socket:[{inode}]" for inode in _inodes(port)}
    return next((pid for pid in pids if sockets.intersection(_open_files(pid))), 0)


def is_alive(pid: int) -> bool:
    """Whether a process exists, and was not killed."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"


def _inodes(port: int) -> Iterator[str]:
    """Yield the inodes of the sockets whose local port this is. Closed connections may have had it, too, to others."""
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if int(fields[1].rpartition(":")[2], 16) == port and fields[9] != "0":
            yield fields[9]


def _open_files(pid: int) -> Iterable[str]:
    with suppress(OSError):  # the process ended
        for file in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):  # the file was closed
                yield str(file.readlink())
