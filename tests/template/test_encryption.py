"""All stored data is encrypted: with AWS's own keys, or with one KMS key of the operator, given by parameter."""

import pytest

from sandbox.template import Template
from tests.template.conditions import apply_conditions, properties_of
from tests.template.permissions import OPTIONS, as_list, statements

KEY = {"Ref": "KmsKeyArn"}
WITHOUT_KEY = Template()
WITH_KEY = Template(parameters=OPTIONS["key"])

READ = ["lambda", "ssm", "s3", "dynamodb"]
KEY_USES: dict[str, dict[str, tuple[str, list[str]]]] = {
    "ConfigFunction": {
        "DecryptWithKey": ("kms:Decrypt", READ),
        "EncryptWithKey": ("kms:GenerateDataKey", ["ssm", "s3"]),
        "EncryptShortParameters": ("kms:Encrypt", ["ssm"]),
    },
    "GenerateFunction": {
        "DecryptWithKey": ("kms:Decrypt", [*READ, "sqs"]),
        "EncryptWithKey": ("kms:GenerateDataKey", ["s3", "sqs"]),
    },
    "EditFunction": {
        "DecryptWithKey": ("kms:Decrypt", [*READ, "sqs"]),
        "EncryptWithKey": ("kms:GenerateDataKey", ["s3", "sqs"]),
    },
    "JobsFunction": {
        "DecryptWithKey": ("kms:Decrypt", [*READ, "sqs"]),
        "EncryptWithKey": ("kms:GenerateDataKey", ["s3", "sqs"]),
    },
    "ConsoleFunction": {"DecryptWithKey": ("kms:Decrypt", ["lambda"])},
    "WorkerFunction": {
        "DecryptWithKey": ("kms:Decrypt", [*READ, "sqs"]),
        "EncryptWithKey": ("kms:GenerateDataKey", ["s3", "sqs"]),
    },
    "DeadLetterFunction": {
        "DecryptWithKey": ("kms:Decrypt", ["lambda", "s3", "dynamodb", "sqs"]),
        "EncryptWithKey": ("kms:GenerateDataKey", ["s3"]),
    },
}
"""For each function, by `Sid`: a KMS operation, and the services through which the function may use it."""


def of_type(kind: str) -> list[str]:
    return [name for name, resource in WITHOUT_KEY.document["Resources"].items() if resource["Type"] == kind]


def test_the_key_is_optional() -> None:
    """By default the template uses no KMS key of the operator; an ARN of a key selects one."""
    parameter = WITHOUT_KEY.document["Parameters"]["KmsKeyArn"]

    assert parameter["Default"] == ""
    assert not WITHOUT_KEY.holds("HasKmsKey")
    assert WITH_KEY.holds("HasKmsKey")


def test_the_bucket_is_encrypted() -> None:
    """The bucket encrypts every object; with the operator's key, it uses a bucket key to save requests to KMS."""
    without_key, with_key = (
        properties_of("Bucket", template)["BucketEncryption"]["ServerSideEncryptionConfiguration"]
        for template in (WITHOUT_KEY, WITH_KEY)
    )

    assert without_key == [{"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]
    assert with_key == [
        {
            "ServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": KEY},
            "BucketKeyEnabled": True,
        }
    ]


def test_the_table_is_encrypted() -> None:
    """The table is encrypted with DynamoDB's own key, or with the operator's key."""
    assert properties_of("Table", WITHOUT_KEY)["SSESpecification"] == {"SSEEnabled": False}
    assert properties_of("Table", WITH_KEY)["SSESpecification"] == {
        "SSEEnabled": True,
        "SSEType": "KMS",
        "KMSMasterKeyId": KEY,
    }


@pytest.mark.parametrize("queue", of_type("AWS::SQS::Queue"))
def test_queues_are_encrypted(queue: str) -> None:
    """A queue is encrypted by SQS itself or with the operator's key, never with both, which SQS does not accept."""
    without_key, with_key = properties_of(queue, WITHOUT_KEY), properties_of(queue, WITH_KEY)

    assert (without_key["SqsManagedSseEnabled"], without_key.get("KmsMasterKeyId")) == (True, None)
    assert (with_key["SqsManagedSseEnabled"], with_key["KmsMasterKeyId"]) == (False, KEY)


@pytest.mark.parametrize("group", of_type("AWS::Logs::LogGroup"))
def test_logs_are_encrypted(group: str) -> None:
    """A log group, which CloudWatch always encrypts, uses the operator's key and the parameter for its retention."""
    assert "KmsKeyId" not in properties_of(group, WITHOUT_KEY)
    assert properties_of(group, WITH_KEY)["KmsKeyId"] == KEY
    assert properties_of(group, WITHOUT_KEY)["RetentionInDays"] == {"Ref": "LogRetentionDays"}


def test_environment_variables_are_encrypted() -> None:
    """The environment variables of the functions, which Lambda always encrypts, use the operator's key."""
    shared = WITHOUT_KEY.document["Globals"]["Function"]

    assert "KmsKeyArn" not in apply_conditions(shared, WITHOUT_KEY)
    assert apply_conditions(shared, WITH_KEY)["KmsKeyArn"] == KEY


def test_only_the_config_function_knows_the_key() -> None:
    """The function that writes the configuration gets the ARN of the key, empty for AWS's own key; no other does."""
    keys = {
        template: {function.name: function.environment.get("KMS_KEY_ID") for function in template.functions()}
        for template in (WITHOUT_KEY, WITH_KEY)
    }

    assert keys[WITHOUT_KEY] == {**dict.fromkeys(keys[WITHOUT_KEY]), "ConfigFunction": ""}
    assert keys[WITH_KEY] == {**dict.fromkeys(keys[WITHOUT_KEY]), "ConfigFunction": OPTIONS["key"]["KmsKeyArn"]}


def test_without_a_key_functions_have_no_kms_permissions() -> None:
    """Without the operator's key, no function may call KMS."""
    actions = [str(one["Action"]) for name in KEY_USES for one in statements(name, WITHOUT_KEY)]

    assert set(KEY_USES) == set(of_type("AWS::Serverless::Function"))
    assert not [action for action in actions if "kms:" in action]


@pytest.mark.parametrize("function", KEY_USES)
def test_a_function_may_use_only_the_key_and_only_through_services(function: str) -> None:
    """With a key, each added statement allows one operation with this key through the services that store data."""
    without_key = statements(function, WITHOUT_KEY)
    added = [one for one in statements(function, WITH_KEY) if one not in without_key]

    assert {one["Sid"]: (one["Action"], one["Condition"]) for one in added} == {
        sid: (
            action,
            {
                "StringEquals": {
                    "kms:ViaService": [{"Fn::Sub": f"{name}.${{AWS::Region}}.amazonaws.com"} for name in services]
                }
            },
        )
        for sid, (action, services) in KEY_USES[function].items()
    }
    assert all((one["Effect"], one["Resource"]) == ("Allow", KEY) for one in added)


@pytest.mark.parametrize("function", KEY_USES)
def test_the_key_is_used_through_the_services_that_the_function_uses(function: str) -> None:
    """A function may decrypt through each service that its other statements name, and encrypt where it writes."""
    actions = {action for one in statements(function, WITHOUT_KEY) for action in as_list(one["Action"])}
    services = {action.partition(":")[0] for action in actions} - {"events", "logs", "xray"}
    writes = {
        "s3": "s3:PutObject" in actions,
        "sqs": "sqs:SendMessage" in actions,
        "ssm": "ssm:PutParameter" in actions,
    }

    assert set(KEY_USES[function]["DecryptWithKey"][1]) == services | {"lambda"}
    encrypts = KEY_USES[function].get("EncryptWithKey", ("", []))[1]
    assert set(encrypts) == {service for service, done in writes.items() if done}
