"""The bucket and the table: private, paid by use, with a retention for what they store."""

from typing import Any

from sandbox.template import Template

RESOURCES: dict[str, dict[str, Any]] = Template().document["Resources"]


def test_the_bucket_is_private() -> None:
    """The bucket blocks every kind of public access, and has no ACLs."""
    bucket = RESOURCES["Bucket"]["Properties"]

    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert len(bucket["PublicAccessBlockConfiguration"]) == 4
    assert bucket["OwnershipControls"] == {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}


def test_the_bucket_denies_plain_http() -> None:
    """The bucket policy denies every request without TLS to everyone, and has no other statement."""
    policy = RESOURCES["BucketPolicy"]["Properties"]
    (statement,) = policy["PolicyDocument"]["Statement"]

    assert policy["Bucket"] == {"Ref": "Bucket"}
    assert (statement["Effect"], statement["Principal"], statement["Action"]) == ("Deny", "*", "s3:*")
    assert statement["Resource"] == [{"Fn::GetAtt": ["Bucket", "Arn"]}, {"Fn::Sub": "${Bucket.Arn}/*"}]
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_objects_expire_and_the_bucket_outlives_the_stack() -> None:
    """The bucket is kept when the stack is deleted; objects expire under every prefix but that of the configuration."""
    bucket = RESOURCES["Bucket"]
    rules = {rule["Id"]: rule for rule in bucket["Properties"]["LifecycleConfiguration"]["Rules"]}
    days = {rule["Prefix"]: rule["ExpirationInDays"] for rule in rules.values() if "ExpirationInDays" in rule}

    assert bucket["DeletionPolicy"] == bucket["UpdateReplacePolicy"] == "Retain"
    assert days == {
        **{prefix: {"Ref": "ImageRetentionDays"} for prefix in ("images/", "requests/", "results/")},
        "uploads/": 1,
        "answers/": 1,
        "inputs/": 5,
        "dead-letters/": 30,
    }


def test_inputs_are_kept_longer_than_messages() -> None:
    """Inputs are kept longer than the messages that refer to them, and dead letters longer than both."""
    queue, dead = (RESOURCES[name]["Properties"]["MessageRetentionPeriod"] for name in ("JobQueue", "DeadLetters"))
    rules = {rule["Id"]: rule for rule in RESOURCES["Bucket"]["Properties"]["LifecycleConfiguration"]["Rules"]}

    assert queue < rules["inputs"]["ExpirationInDays"] * 86_400 < dead == 14 * 86_400


def test_the_table_is_paid_by_use() -> None:
    """The table is on demand, has the key `pk`, can be restored to a point in time, and expires by `expires_at`.

    Its indexes have only keys, so that no write but the first one of an item is one of an index too.
    """
    table = RESOURCES["Table"]["Properties"]

    assert table["BillingMode"] == "PAY_PER_REQUEST"
    assert table["KeySchema"] == [{"AttributeName": "pk", "KeyType": "HASH"}]
    assert table["TimeToLiveSpecification"] == {"AttributeName": "expires_at", "Enabled": True}
    assert {index["Projection"]["ProjectionType"] for index in table["GlobalSecondaryIndexes"]} == {"KEYS_ONLY"}
    assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
