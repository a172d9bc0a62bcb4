"""Look locked packages up in a registry's list of known vulnerabilities: `audit.py PIP_AUDIT REQUIREMENTS...`.

The exit status is 1 if a package has a known vulnerability. If the registry cannot be reached, or has no data about
vulnerabilities (as mirrors have none), the audit reports that and stops with status 0: the registry would have no data
for the remaining requirements either.
"""

import json
import re
import subprocess
import sys

_REGISTRY_ERROR = re.compile(
    r"requests\.exceptions\.\w+|Could not connect to .*|PyPI is not redirecting properly|ServiceError"
)
"""What pip-audit prints when it gets no response; the first match in its output is the reason."""


class NotAudited(Exception):
    """The registry cannot be reached or has no data about vulnerabilities."""


def audit(pip_audit: str, requirements: str) -> tuple[list[str], int]:
    """Audit one file of locked requirements.

    Returns:
        A line for each vulnerability, and the number of packages that were looked up.

    Raises:
        NotAudited: the registry cannot be reached, or knows none of the packages.
        SystemExit: pip-audit failed for another reason.
    """
    options = ("--disable-pip", "--require-hashes", "--format", "json", "--progress-spinner", "off", "--timeout", "10")
    command = (pip_audit, *options, "--requirement", requirements)
    process = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - arguments from make
    if not process.stdout.startswith("{"):
        if reason := _REGISTRY_ERROR.search(process.stderr):
            raise NotAudited(reason[0])
        raise SystemExit(process.stderr or f"pip-audit printed nothing about {requirements}")
    packages = json.loads(process.stdout)["dependencies"]
    skip_reasons = [package["skip_reason"] for package in packages if "skip_reason" in package]
    if skip_reasons and len(skip_reasons) == len(packages):
        raise NotAudited(f"{skip_reasons[0]}; the same for all {len(packages)} packages")
    return [
        f"{package['name']} {package['version']}: {vulnerability['id']}, "
        f"fixed in {', '.join(vulnerability['fix_versions']) or 'none'}"
        for package in packages
        for vulnerability in package.get("vulns", ())
    ], len(packages) - len(skip_reasons)


def main(pip_audit: str, *requirements: str) -> int:
    """Audit each file in turn and return the exit status."""
    vulnerabilities: list[str] = []
    for path in requirements:
        try:
            lines, count = audit(pip_audit, path)
        except NotAudited as reason:
            print(f"audit: skipped, the registry has no data about vulnerabilities ({reason})")
            break
        print(f"audit: {path}: {count} packages looked up, {len(lines)} findings")
        vulnerabilities += lines
    for line in vulnerabilities:
        print(line)
    return 1 if vulnerabilities else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
