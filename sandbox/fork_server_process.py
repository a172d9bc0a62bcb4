"""The process of a `ForkServer`: it imports what the functions share, and becomes their processes by fork.

Standard input has a line of JSON for each process to start: an id, the handler and the environment variables. Standard
output has a line for each process that has started, by its id and process id, and one for each that has ended, by its
process id and status. What the processes print goes to standard error.
"""

import gc
import json
import os
import signal
import sys
from contextlib import suppress
from importlib import import_module


def main() -> None:
    """Import the modules that the command line names, and start processes until standard input is closed."""
    sys.modules["click"] = None  # type: ignore[assignment]  # as where a function starts alone
    for name in sys.argv[1:]:
        # A function that imports a defective module fails by itself, and reports it as on Lambda.
        with suppress(Exception):
            import_module(name)
    # It changes the environment and the collector of a process, so each function imports it again.
    sys.modules.pop("image_gateway.cold_start", None)
    gc.freeze()  # or collections would copy the memory that the processes share
    signal.signal(signal.SIGCHLD, _report_ended)
    for line in sys.stdin:
        request = json.loads(line)
        if os.fork() == 0:
            _run_function(**request)


def _run_function(id: int, handler: str, variables: dict[str, str]) -> None:
    os.setsid()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    _report(id=id, pid=os.getpid())
    os.close(0)
    os.open(os.devnull, os.O_RDONLY)
    os.dup2(2, 1)
    os.environ.clear()
    os.environ.update(variables)
    gc.enable()
    runtime_client = import_module("awslambdaric.__main__")
    sys.exit(runtime_client.main(["", handler]))


def _report_ended(*_: object) -> None:
    with suppress(ChildProcessError):
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            _report(pid=ended[0], status=os.waitstatus_to_exitcode(ended[1]))


def _report(**fields: int) -> None:
    os.write(1, json.dumps(fields).encode() + b"\n")


if __name__ == "__main__":
    main()
