"""The queues, the rules of EventBridge that send to them, the functions that read them, and their alarms."""

from typing import Any

import pytest

from sandbox.template import Template
from tests.template.expected_statements import DEAD_LETTERS, JOB_QUEUE

TEMPLATE = Template()
RESOURCES: dict[str, dict[str, Any]] = TEMPLATE.document["Resources"]
TIMEOUTS = {function.name: function.timeout for function in TEMPLATE.functions()}
QUEUES = [name for name, resource in RESOURCES.items() if resource["Type"] == "AWS::SQS::Queue"]
RULES = [name for name, resource in RESOURCES.items() if resource["Type"] == "AWS::Events::Rule"]


def test_there_are_three_rules() -> None:
    """Requests, request files and the recovery of jobs have a rule each."""
    assert RULES == ["RequestRule", "RequestFileRule", "RecoveryRule"]


@pytest.mark.parametrize("queue", QUEUES)
def test_queues_accept_rules_and_deny_plain_http(queue: str) -> None:
    """The policy of a queue allows only the rules to send messages, and denies every request without TLS."""
    policy = RESOURCES[f"{queue}Policy"]["Properties"]
    allowed, denied = policy["PolicyDocument"]["Statement"]
    arn = {"Fn::GetAtt": [queue, "Arn"]}
    by_rules = {"ArnEquals": {"aws:SourceArn": [{"Fn::GetAtt": [rule, "Arn"]} for rule in RULES]}}

    assert policy["Queues"] == [{"Ref": queue}]
    assert (allowed["Effect"], allowed["Principal"]) == ("Allow", {"Service": "events.amazonaws.com"})
    assert (allowed["Action"], allowed["Resource"], allowed["Condition"]) == ("sqs:SendMessage", arn, by_rules)
    assert (denied["Effect"], denied["Principal"], denied["Action"]) == ("Deny", "*", "sqs:*")
    assert (denied["Resource"], denied["Condition"]) == (arn, {"Bool": {"aws:SecureTransport": "false"}})


def test_messages_are_invisible_longer_than_their_functions_run() -> None:
    """A message is not delivered again while its function may still run, and soon after that."""
    seconds = {name: int(TEMPLATE.resolve(RESOURCES[name]["Properties"]["VisibilityTimeout"])) for name in QUEUES}

    assert seconds["JobQueue"] == TIMEOUTS["WorkerFunction"] + 60
    assert seconds["DeadLetters"] > TIMEOUTS["DeadLetterFunction"]


def test_failing_messages_are_dead_lettered() -> None:
    """A message that was received five times becomes a dead letter, as does an event that a rule cannot deliver."""
    targets = [target for rule in RULES for target in RESOURCES[rule]["Properties"]["Targets"]]

    assert RESOURCES["JobQueue"]["Properties"]["RedrivePolicy"] == {
        "deadLetterTargetArn": DEAD_LETTERS,
        "maxReceiveCount": 5,
    }
    assert [target["Arn"] for target in targets] == [JOB_QUEUE] * 3
    assert [target["DeadLetterConfig"] for target in targets] == [{"Arn": DEAD_LETTERS}] * 3


def test_requests_by_event_are_one_message_group() -> None:
    """Many events do not delay the jobs of others. Request files and recovery send few messages, without a group."""
    parameters = {rule: RESOURCES[rule]["Properties"]["Targets"][0].get("SqsParameters") for rule in RULES}

    assert parameters == {"RequestRule": {"MessageGroupId": "events"}, "RequestFileRule": None, "RecoveryRule": None}


@pytest.mark.parametrize(
    ("mapping", "queue", "function", "concurrency"),
    [
        ("JobQueueMapping", "JobQueue", "WorkerFunction", {"Ref": "WorkerMaximumConcurrency"}),
        ("DeadLettersMapping", "DeadLetters", "DeadLetterFunction", 2),
    ],
)
def test_queues_are_read_by_their_functions(mapping: str, queue: str, function: str, concurrency: Any) -> None:
    """Messages are delivered without delay, ten at most together, and each can fail without the others."""
    assert RESOURCES[mapping]["Properties"] == {
        "EventSourceArn": {"Fn::GetAtt": [queue, "Arn"]},
        "FunctionName": {"Ref": function},
        "BatchSize": 10,
        "MaximumBatchingWindowInSeconds": 0,
        "FunctionResponseTypes": ["ReportBatchItemFailures"],
        "ScalingConfig": {"MaximumConcurrency": concurrency},
    }


def test_the_bucket_sends_events_to_the_default_bus() -> None:
    """The bucket announces new objects on the default bus, where the rule for request files is."""
    notifications = RESOURCES["Bucket"]["Properties"]["NotificationConfiguration"]

    assert notifications == {"EventBridgeConfiguration": {"EventBridgeEnabled": True}}
    assert "EventBusName" not in RESOURCES["RequestFileRule"]["Properties"]
    assert RESOURCES["RequestRule"]["Properties"]["EventBusName"] == {"Ref": "EventBusName"}


@pytest.mark.parametrize(("alarm", "queue"), [("DeadLettersAlarm", "DeadLetters"), ("OldestMessageAlarm", "JobQueue")])
def test_queues_have_alarms(alarm: str, queue: str) -> None:
    """An alarm uses metrics of its queue, ignores missing data, and notifies the topic if one is given."""
    properties = RESOURCES[alarm]["Properties"]
    metrics = [item["MetricStat"]["Metric"] for item in properties.get("Metrics", ()) if "MetricStat" in item]

    for metric in metrics or [properties]:
        assert metric["Namespace"] == "AWS/SQS"
        assert metric["Dimensions"] == [{"Name": "QueueName", "Value": {"Fn::GetAtt": [queue, "QueueName"]}}]
    assert properties["ComparisonOperator"] == "GreaterThanThreshold"
    assert properties["TreatMissingData"] == "notBreaching"
    assert properties["AlarmActions"] == {
        "Fn::If": ["HasAlarmTopic", [{"Ref": "AlarmTopicArn"}], {"Ref": "AWS::NoValue"}]
    }
