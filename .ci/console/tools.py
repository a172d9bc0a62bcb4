"""TypeScript and Biome for the console's scripts: `tools.py install`, `check` or `format`.

Without Node.js, everything here is skipped with a reason: the console needs no build, so nothing else depends on it.
"""

import shutil
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
PROGRAMS = FOLDER / "node_modules/.bin"
INSTALLED = FOLDER / "node_modules/.ready"
STATIC = "functions/console/static"
BIOME = [f"--config-path={FOLDER / 'biome.json'}", STATIC]

COMMANDS: dict[str, list[list[str | Path]]] = {
    "check": [
        [PROGRAMS / "tsc", "--project", FOLDER / "tsconfig.json"],
        [PROGRAMS / "biome", "ci", "--error-on-warnings", *BIOME],
    ],
    "format": [[PROGRAMS / "biome", "check", "--write", *BIOME]],
}


def install() -> int:
    """Install the packages of the lock file. They run no scripts of their own.

    Returns:
        The exit status, which is 0 also if they cannot be installed.
    """
    command: list[str | Path] = ["npm", "ci", "--prefix", FOLDER, "--ignore-scripts", "--silent"]
    if shutil.which("npm") and subprocess.run(command, check=False).returncode == 0:  # noqa: S603 - a fixed command
        INSTALLED.touch()
    else:
        print("TypeScript and Biome cannot be installed: that needs Node.js 20 with npm", file=sys.stderr)
    return 0


def main(command: str) -> int:
    """Run one command.

    Returns:
        The exit status of the first program that failed; 0 if none did, or if there is none.
    """
    if command == "install":
        return install()
    if not INSTALLED.exists():
        print(f"The console's scripts are skipped by {command}: that needs Node.js 20 with npm")
        return 0
    for program in COMMANDS[command]:
        print(*(Path(part).name if isinstance(part, Path) else part for part in program), flush=True)
        if status := subprocess.run(program, cwd=FOLDER.parent.parent, check=False).returncode:  # noqa: S603 - ours
            return status
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
