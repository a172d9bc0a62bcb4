"""The decoding processes of this process, and what they have used."""

import os
import resource
from pathlib import Path

_START_SECONDS = 0.3
_TICKS = os.sysconf("SC_CLK_TCK")


def decoding_processes() -> set[int]:
    """Return the ids of the decoding processes that this process has started and that have not ended."""
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes()
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        if parent == os.getpid() and b"decoding.program" in command:
            found.add(int(folder.name))
    return found


def cpu_seconds_of_children() -> float:
    """Return the CPU time of all children of this process, ended or not, to 0.02 s."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return ended.ru_utime + ended.ru_stime + sum(map(_cpu_seconds, decoding_processes()))


def is_decoding() -> bool:
    """Whether a decoding process has used more CPU time than it needs to start."""
    return any(_cpu_seconds(pid) > _START_SECONDS for pid in decoding_processes())


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def peak_memory(pid: int) -> int:
    """Return the most bytes of memory that a process has used."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024
