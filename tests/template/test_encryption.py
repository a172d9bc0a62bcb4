"""Everything that is stored is encrypted: with AWS's own keys, or with one key of the operator's by parameter."""

from typing import Any

import pytest

from sandbox.template import Template
from tests.template.conditions import decided

KEY_ARN = "arn:aws:kms:eu-central-1:123456789012:key/0d9b9d3c-1c2f-4a7e-9c55-2f8f3f6b7a10"
KEY = {"Ref": "KmsKeyArn"}
BY_AWS = Template()
BY_OPERATOR = Template(parameters={"KmsKeyArn": KEY_ARN})

Uses = dict[str, tuple[str, list[str]]]

READ = ["lambda", "ssm", "s3", "dynamodb"]
USES: dict[str, Uses] = {
    "ConfigFunction": {
        "DecryptWithTheKey": ("kms:Decrypt", READ),
        "EncryptWithTheKey": ("kms:GenerateDataKey", ["ssm", "s3"]),
        "EncryptShortParameters": ("kms:Encrypt", ["ssm"]),
    },
    "GenerateFunction": {
        "DecryptWithTheKey": ("kms:Decrypt", [*READ, "sqs"]),
        "EncryptWithTheKey": ("kms:GenerateDataKey", ["s3", "sqs"]),
    },
    "EditFunction": {
        "DecryptWithTheKey": ("kms:Decrypt", [*READ, "sqs"]),
        "EncryptWithTheKey": ("kms:GenerateDataKey", ["s3", "sqs"]),
    },
    "JobsFunction": {
        "DecryptWithTheKey": ("kms:Decrypt", [*READ, "sqs"]),
        "EncryptWithTheKey": ("kms:GenerateDataKey", ["s3", "sqs"]),
    },
    "WorkerFunction": {
        "DecryptWithTheKey": ("kms:Decrypt", [*READ, "sqs"]),
        "EncryptWithTheKey": ("kms:GenerateDataKey", ["s3", "sqs"]),
    },
    "DeadLetterFunction": {
        "DecryptWithTheKey": ("kms:Decrypt", ["lambda", "s3", "dynamodb", "sqs"]),
        "EncryptWithTheKey": ("kms:GenerateDataKey", ["s3"]),
    },
}
"""Which of KMS's operations a function may ask for through which services."""


def of_type(kind: str) -> list[str]:
    return [name for name, resource in BY_AWS.document["Resources"].items() if resource["Type"] == kind]


def properties(name: str, template: Template) -> dict[str, Any]:
    found: dict[str, Any] = decided(template.resource(name), template)
    return found


def statements(function: str, template: Template) -> list[dict[str, Any]]:
    policies = properties(f"{function}Role", template)["Policies"]
    return [one for policy in policies for one in policy["PolicyDocument"]["Statement"]]


def test_the_key_is_optional() -> None:
    """By default no key of one's own is asked for; an ARN of a key, and nothing else, is taken for one."""
    parameter = BY_AWS.document["Parameters"]["KmsKeyArn"]

    assert parameter["Default"] == ""
    assert not BY_AWS.holds("HasKmsKey")
    assert BY_OPERATOR.holds("HasKmsKey")


def test_pictures_are_encrypted() -> None:
    """The bucket encrypts by itself; with a key of one's own it asks for few data keys."""
    found = [
        properties("Bucket", template)["BucketEncryption"]["ServerSideEncryptionConfiguration"]
        for template in (BY_AWS, BY_OPERATOR)
    ]

    assert found[0] == [{"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]
    assert found[1] == [
        {
            "ServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": KEY},
            "BucketKeyEnabled": True,
        }
    ]


def test_the_table_is_encrypted() -> None:
    """The table is encrypted with DynamoDB's own key, or with the given one."""
    assert properties("Table", BY_AWS)["SSESpecification"] == {"SSEEnabled": False}
    assert properties("Table", BY_OPERATOR)["SSESpecification"] == {
        "SSEEnabled": True,
        "SSEType": "KMS",
        "KMSMasterKeyId": KEY,
    }


@pytest.mark.parametrize("queue", of_type("AWS::SQS::Queue"))
def test_queues_are_encrypted(queue: str) -> None:
    """A queue is encrypted by SQS itself or with the given key, never with both, which SQS refuses."""
    by_aws, by_operator = properties(queue, BY_AWS), properties(queue, BY_OPERATOR)

    assert (by_aws["SqsManagedSseEnabled"], by_aws.get("KmsMasterKeyId")) == (True, None)
    assert (by_operator["SqsManagedSseEnabled"], by_operator["KmsMasterKeyId"]) == (False, KEY)


@pytest.mark.parametrize("group", of_type("AWS::Logs::LogGroup"))
def test_logs_are_encrypted(group: str) -> None:
    """A log group, which CloudWatch always encrypts, takes the given key, and ends by parameter."""
    assert "KmsKeyId" not in properties(group, BY_AWS)
    assert properties(group, BY_OPERATOR)["KmsKeyId"] == KEY
    assert properties(group, BY_AWS)["RetentionInDays"] == {"Ref": "LogRetentionDays"}


def test_the_environment_is_encrypted() -> None:
    """The functions' variables, which Lambda always encrypts, take the given key."""
    shared = BY_AWS.document["Globals"]["Function"]

    assert "KmsKeyArn" not in decided(shared, BY_AWS)
    assert decided(shared, BY_OPERATOR)["KmsKeyArn"] == KEY


def test_the_configuration_is_encrypted_with_the_key() -> None:
    """Who writes the configuration is told the key, empty for the account's own."""
    keys = {
        template: {function.name: function.environment.get("KMS_KEY_ID") for function in template.functions()}
        for template in (BY_AWS, BY_OPERATOR)
    }

    assert keys[BY_AWS] == {**dict.fromkeys(keys[BY_AWS]), "ConfigFunction": ""}
    assert keys[BY_OPERATOR] == {**dict.fromkeys(keys[BY_AWS]), "ConfigFunction": KEY_ARN}


def test_without_a_key_none_can_be_used() -> None:
    """Without a key of the operator's, no function may ask KMS for anything."""
    actions = [str(one["Action"]) for name in USES for one in statements(name, BY_AWS)]

    assert set(USES) == set(of_type("AWS::Serverless::Function"))
    assert not [action for action in actions if "kms:" in action]


@pytest.mark.parametrize("function", USES)
def test_a_function_may_use_the_key_like_this(function: str) -> None:
    """With a key, a function gets these statements more: one key, one operation, through the services it stores in."""
    without = statements(function, BY_AWS)
    more = [one for one in statements(function, BY_OPERATOR) if one not in without]

    assert {one["Sid"]: (one["Action"], one["Condition"]) for one in more} == {
        sid: (
            action,
            {
                "StringEquals": {
                    "kms:ViaService": [{"Fn::Sub": f"{name}.${{AWS::Region}}.amazonaws.com"} for name in via]
                }
            },
        )
        for sid, (action, via) in USES[function].items()
    }
    assert all((one["Effect"], one["Resource"]) == ("Allow", KEY) for one in more)


@pytest.mark.parametrize("function", USES)
def test_the_key_is_used_where_the_function_stores(function: str) -> None:
    """The services that a function reaches the key through are those that its other statements name."""
    actions = {
        action
        for one in statements(function, BY_AWS)
        for action in (one["Action"] if isinstance(one["Action"], list) else [one["Action"]])
    }
    services = {action.partition(":")[0] for action in actions} - {"events", "logs", "xray"}
    writes = {
        "s3": "s3:PutObject" in actions,
        "sqs": "sqs:SendMessage" in actions,
        "ssm": "ssm:PutParameter" in actions,
    }

    assert set(USES[function]["DecryptWithTheKey"][1]) == services | {"lambda"}
    assert set(USES[function]["EncryptWithTheKey"][1]) == {service for service, done in writes.items() if done}
