"""Rules of checkov that do not apply are left out one by one, where they would apply, with the reason."""

import re

from sandbox.template import ROOT

ALLOWED = {
    "CKV_AWS_18": 1,  # access logs of the bucket
    "CKV_AWS_21": 1,  # versions of objects
    "CKV_AWS_115": 2,  # reserved concurrency, of what reads queues
    "CKV_AWS_116": 6,  # dead letters of asynchronous invocations, of every function
    "CKV_AWS_117": 1,  # a network, of the function for dead letters
}


def test_every_suppression_has_a_reason() -> None:
    """Each suppression in the template names one rule and says why in several words; there are no others."""
    text = (ROOT / "template.yaml").read_text()
    found = re.findall(r"# checkov:skip=(CKV\w+): (\S+ \S+ \S+ .+)", text)
    rules = [rule for rule, _ in found]

    assert {rule: rules.count(rule) for rule in rules} == ALLOWED
    assert text.count("skip=") == len(found)


def test_nothing_is_left_out_for_all() -> None:
    """No rule of checkov is left out on its command line, and no security rule of ruff in the product's code."""
    makefile, project = ((ROOT / name).read_text() for name in ("Makefile", "pyproject.toml"))
    ignored = re.search(r"^ignore = \[(.*?)^\]", project, re.DOTALL | re.MULTILINE)

    assert not re.search(r"checkov .*--(skip-check|check|soft-fail)", makefile)
    assert ignored is not None
    assert re.findall(r"\"(S\d+)\"", ignored[1]) == []
