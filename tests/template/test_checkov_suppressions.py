"""Checkov rules that do not apply are suppressed one by one, at the resource, with the reason."""

import re

from sandbox.template import ROOT

SUPPRESSED = {
    "CKV_AWS_18": 1,  # access logs of the bucket
    "CKV_AWS_21": 1,  # versioning of the bucket
    "CKV_AWS_115": 2,  # reserved concurrency of the functions that read queues
    "CKV_AWS_116": 7,  # dead letters of asynchronous invocations, for every function
    "CKV_AWS_117": 2,  # a VPC for the dead-letter function and the console's
}


def test_every_suppression_has_a_reason() -> None:
    """Each suppression in the template names one rule and a reason of several words; there are no others."""
    text = (ROOT / "template.yaml").read_text()
    found = re.findall(r"# checkov:skip=(CKV\w+): (\S+ \S+ \S+ .+)", text)
    rules = [rule for rule, _ in found]

    assert {rule: rules.count(rule) for rule in rules} == SUPPRESSED
    assert text.count("skip=") == len(found)


def test_no_rule_is_suppressed_globally() -> None:
    """Checkov's command line disables no rule, and ruff's configuration ignores no security rule in the product."""
    makefile, project = ((ROOT / name).read_text() for name in ("Makefile", "pyproject.toml"))
    ignored = re.search(r"^ignore = \[(.*?)^\]", project, re.DOTALL | re.MULTILINE)

    assert not re.search(r"checkov .*--(skip-check|check|soft-fail)", makefile)
    assert ignored is not None
    assert re.findall(r"\"(S\d+)\"", ignored[1]) == []
