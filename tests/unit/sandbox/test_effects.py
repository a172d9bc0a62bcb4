"""What the sandbox says about parameters that have no effect in it."""

from typing import Any

import pytest

from sandbox.cors import Cors
from sandbox.gateway import WITHOUT_EFFECT
from sandbox.template import Template

PARAMETERS = Template().document["Parameters"]
OTHER_VALUES = {
    "EventBusName": "other",
    "FetchAllowedHosts": "other.internal",
    "KmsKeyArn": "arn:aws:kms:eu-central-1:123456789012:key/other",
    "CorsOrigins": "https://other.example",
    "AlarmTopicArn": "arn:aws:sns:eu-central-1:123456789012:other",
    "VpcSubnetIds": "subnet-0aaa",
    "VpcSecurityGroupIds": "sg-0aaa",
}


def what_runs(parameters: dict[str, str]) -> list[Any]:
    """Return what the sandbox reads from the template: functions, mappings, queues, the bus and CORS."""
    template = Template(parameters=parameters)
    queues = [item for item in template.document["Resources"].values() if item["Type"] == "AWS::SQS::Queue"]
    visibility = [template.resolve(queue["Properties"]["VisibilityTimeout"]) for queue in queues]
    cors = Cors.of(template)
    return [template.functions(), template.queue_mappings(), visibility, template.values["EventBusName"], cors]


def other_value(name: str) -> str:
    """Return a valid value of a parameter that is not its default."""
    item = PARAMETERS[name]
    if "AllowedValues" in item:
        return next(str(value) for value in item["AllowedValues"] if str(value) != str(item["Default"]))
    return OTHER_VALUES.get(name) or str(int(item["Default"]) + 1)


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameters_without_effect_are_known(name: str) -> None:
    """A parameter changes what the sandbox runs, or the sandbox says that it does not."""
    # Of function URLs, only the functions' settings change: the sandbox has no such URLs, so nothing waits for longer.
    has_effect = not name.startswith("FunctionUrl") and what_runs({name: other_value(name)}) != what_runs({})

    assert has_effect == (name not in WITHOUT_EFFECT)
