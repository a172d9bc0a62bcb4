"""Asks which locked packages have known vulnerabilities: `audit.py PIP_AUDIT REQUIREMENTS...`.

Exits with 1 if one has. A registry that cannot be asked, or that tells nothing of vulnerabilities, as mirrors do, is
said and no failure; it ends the audit, since it would tell nothing of further requirements either.
"""

import json
import re
import subprocess
import sys

_NOT_ASKED = re.compile(
    r"requests\.exceptions\.\w+|Could not connect to .*|PyPI is not redirecting properly|ServiceError"
)
"""How pip-audit ends when it gets no answer; the first of these in what it says is the reason."""


class NotAudited(Exception):
    """The registry could not be asked."""


def audit(pip_audit: str, requirements: str) -> tuple[list[str], int]:
    """Audit one file of locked requirements.

    Returns:
        A line for each vulnerability, and how many packages were looked up.

    Raises:
        NotAudited: the registry cannot be asked, or knows none of the packages.
        SystemExit: pip-audit failed for another reason.
    """
    options = ("--disable-pip", "--require-hashes", "--format", "json", "--progress-spinner", "off", "--timeout", "10")
    command = (pip_audit, *options, "--requirement", requirements)
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - what make gave
    if not done.stdout.startswith("{"):
        if reason := _NOT_ASKED.search(done.stderr):
            raise NotAudited(reason[0])
        raise SystemExit(done.stderr or f"pip-audit said nothing about {requirements}")
    packages = json.loads(done.stdout)["dependencies"]
    skipped = [package["skip_reason"] for package in packages if "skip_reason" in package]
    if skipped and len(skipped) == len(packages):
        raise NotAudited(f"{skipped[0]}, nor any other of {len(packages)}")
    return [
        f"{package['name']} {package['version']}: {one['id']}, fixed in {', '.join(one['fix_versions']) or 'none'}"
        for package in packages
        for one in package.get("vulns", ())
    ], len(packages) - len(skipped)


def main(pip_audit: str, *requirements: str) -> int:
    """Audit each file in turn; gives the exit status."""
    vulnerabilities: list[str] = []
    for path in requirements:
        try:
            found, count = audit(pip_audit, path)
        except NotAudited as reason:
            print(f"audit: skipped, the registry tells nothing of vulnerabilities ({reason})")
            break
        print(f"audit: {path}: {count} packages looked up, {len(found)} findings")
        vulnerabilities += found
    for line in vulnerabilities:
        print(line)
    return 1 if vulnerabilities else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
