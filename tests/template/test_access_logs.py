"""The access logs of the API contain nothing that a caller writes."""

import json
import re

from sandbox.template import Template

TEMPLATE = Template()
LOGGED = {
    "$context.requestId",
    "$context.requestTimeEpoch",
    "$context.identity.sourceIp",
    "$context.httpMethod",
    "$context.routeKey",
    "$context.status",
    "$context.responseLength",
    "$context.responseLatency",
    "$context.integrationStatus",
    "$context.integrationLatency",
}
"""No path, query string or header (user agent, referrer), and no error text of a function."""


def test_access_logs_are_json() -> None:
    """Each request that reaches the API is logged as one line of JSON in a log group of its own."""
    settings = TEMPLATE.properties("Api")["AccessLogSettings"]

    line = json.loads(settings["Format"])

    assert "\n" not in settings["Format"]
    assert all(isinstance(value, str) for value in line.values())
    assert settings["DestinationArn"] == {"Fn::GetAtt": ["ApiLogs", "Arn"]}
    assert TEMPLATE.document["Resources"]["ApiLogs"]["DeletionPolicy"] == "Delete"


def test_access_logs_contain_no_secrets() -> None:
    """A line contains only these variables."""
    text = TEMPLATE.properties("Api")["AccessLogSettings"]["Format"]

    assert set(re.findall(r"\$[\w.]+", text)) == LOGGED
    assert set(json.loads(text).values()) == LOGGED
