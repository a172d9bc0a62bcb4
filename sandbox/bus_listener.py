"""Records the events of one source on an event bus."""

import json
from typing import Any

import boto3


class BusListener:
    """Records the events of one source from the moment that the listener is created.

    Args:
        name: the name of the rule and of the queue that the listener creates.
        bus: the event bus's name.
        source: the source of the events to record.
    """

    def __init__(self, name: str, bus: str, source: str) -> None:
        self._sqs = boto3.client("sqs")
        self._url = self._sqs.create_queue(QueueName=name)["QueueUrl"]
        self._events: list[dict[str, Any]] = []
        queue = self._sqs.get_queue_attributes(QueueUrl=self._url, AttributeNames=["QueueArn"])
        events = boto3.client("events")
        events.put_rule(Name=name, EventBusName=bus, EventPattern=json.dumps({"source": [source]}))
        events.put_targets(
            Rule=name, EventBusName=bus, Targets=[{"Id": "listener", "Arn": queue["Attributes"]["QueueArn"]}]
        )

    def events(self) -> list[dict[str, Any]]:
        """Return all events so far, in the order of their arrival."""
        while messages := self._sqs.receive_message(QueueUrl=self._url, MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                self._events.append(json.loads(message["Body"]))
                self._sqs.delete_message(QueueUrl=self._url, ReceiptHandle=message["ReceiptHandle"])
        return list(self._events)
