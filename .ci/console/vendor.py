"""The console's copies of packages from npm: `vendor.py` makes them, `vendor.py --check` compares them with the record.

The page loads them as they are, without a build. Only the names that modules import are changed to relative addresses,
because browsers need an import map for anything else. The check needs neither Node.js nor the packages.
"""

import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent
TARGET = FOLDER.parent.parent / "functions/console/static/vendor"
RECORD = FOLDER / "vendor.json"
LOCK = FOLDER / "package-lock.json"

FILES = {
    "preact.mjs": ("preact", "dist/preact.mjs"),
    "preact-hooks.mjs": ("preact", "hooks/dist/hooks.mjs"),
    "htm.mjs": ("htm", "dist/htm.mjs"),
    "preact.LICENSE": ("preact", "LICENSE"),
    "htm.LICENSE": ("htm", "LICENSE"),
}
"""Each copy, with its package and the file in it."""

IMPORTS = {'from"preact"': 'from"./preact.mjs"'}
"""Imports that are changed."""


def copies() -> Iterator[tuple[str, bytes]]:
    """Yield the name and the content of each copy, made from the installed packages."""
    for name, (package, path) in FILES.items():
        text = (FOLDER / "node_modules" / package / path).read_text(encoding="utf-8")
        if name.endswith(".mjs"):
            # The map is not copied.
            text = "\n".join(line for line in text.splitlines() if not line.startswith("//# sourceMappingURL")) + "\n"
            for imported, address in IMPORTS.items():
                text = text.replace(imported, address)
        yield name, text.encode()


def record(files: dict[str, bytes]) -> dict[str, Any]:
    """Return what is recorded of the copies: versions and licenses as the lock file has them, and hashes."""
    packages = json.loads(LOCK.read_text(encoding="utf-8"))["packages"]
    return {
        "packages": {
            name: {key: packages[f"node_modules/{name}"][key] for key in ("version", "license", "integrity")}
            for name in sorted({package for package, _path in FILES.values()})
        },
        "files": {name: hashlib.sha256(content).hexdigest() for name, content in sorted(files.items())},
    }


def main(arguments: list[str]) -> int:
    """Make the copies and their record, or check them.

    Returns:
        The exit status: 1 if the check found a difference.
    """
    if "--check" not in arguments:
        TARGET.mkdir(parents=True, exist_ok=True)
        files = dict(copies())
        for name, content in files.items():
            (TARGET / name).write_bytes(content)
        RECORD.write_text(json.dumps(record(files), indent=2) + "\n", encoding="utf-8")
        return 0
    present = {path.name: path.read_bytes() for path in TARGET.iterdir() if path.suffix != ".mts"}
    recorded = json.loads(RECORD.read_text(encoding="utf-8"))
    if record(present) != recorded:
        found = record(present)["files"]
        names = {name for name in {*found, *recorded["files"]} if found.get(name) != recorded["files"].get(name)}
        print(
            f"Not as {RECORD.name} records them: {', '.join(sorted(names)) or 'versions'}. To copy again: make vendor"
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
