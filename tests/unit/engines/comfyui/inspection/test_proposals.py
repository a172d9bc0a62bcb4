"""What an inspection proposes for workflows of many kinds."""

import pytest

from image_gateway.engines.comfyui.inspection import inspect_workflow
from tests.workflow_samples import Sample, samples


@pytest.mark.parametrize("sample", samples(), ids=lambda sample: sample.name)
def test_the_proposals_are_right_and_sure_only_where_there_is_no_other_reading(sample: Sample) -> None:
    """Each proposal names the right inputs; it is not sure if the workflow can be read in another way."""
    assert proposed(sample) == sample.expected


@pytest.mark.parametrize("sample", samples(), ids=lambda sample: sample.name)
def test_problems_are_reported_with_their_nodes(sample: Sample) -> None:
    """What the gateway cannot use is reported; a workflow without problems has none."""
    problems = inspect_workflow(sample.workflow).problems

    assert [f"{problem.code} {problem.node_id or ''}".strip() for problem in problems] == sample.problems


def proposed(sample: Sample) -> dict[str, str]:
    """Return the proposals for a workflow in the form of `Sample.expected`."""
    result: dict[str, list[str]] = {}
    unsure = set()
    for proposal in inspect_workflow(sample.workflow).nodes:
        spots = [f"{node_id}.{proposal.key}".rstrip(".") for node_id in proposal.node_ids]
        result.setdefault(proposal.type, []).extend(spots)
        unsure |= set() if proposal.sure else {proposal.type}
    return {type_: " ".join([*spots, *(["?"] if type_ in unsure else [])]) for type_, spots in result.items()}
