"""The policy statements that each function's role has, by `Sid`: the reviewed list of what a function needs."""

from typing import Any, Final

Statement = tuple[list[str], Any, dict[str, Any] | None]
"""The actions, the resource and the condition of a statement; its effect is `Allow`."""

CONFIG_PARAMETER: Final = {
    "Fn::Sub": "arn:${AWS::Partition}:ssm:${AWS::Region}:${AWS::AccountId}:"
    "parameter/image-gateway/${AWS::StackName}/config"
}
TABLE: Final = {"Fn::GetAtt": ["Table", "Arn"]}
USAGE_TABLE: Final = {"Fn::GetAtt": ["UsageTable", "Arn"]}
INDEX_OF_ALL: Final = {"Fn::Sub": "${Table.Arn}/index/listed"}
INDEX_BY_END_USER: Final = {"Fn::Sub": "${Table.Arn}/index/by-end-user"}
USAGE_BY_END_USER: Final = {"Fn::Sub": "${UsageTable.Arn}/index/by-end-user"}
INDEX_BY_OWNER: Final = {"Fn::Sub": "${Table.Arn}/index/by-owner"}
JOB_QUEUE: Final = {"Fn::GetAtt": ["JobQueue", "Arn"]}
DEAD_LETTERS: Final = {"Fn::GetAtt": ["DeadLetters", "Arn"]}
EVENT_BUS: Final = {
    "Fn::Sub": "arn:${AWS::Partition}:events:${AWS::Region}:${AWS::AccountId}:event-bus/${EventBusName}"
}
ANY_RESOURCE: Final = "*"
"""For X-Ray, whose actions do not support resources, and for network interfaces, whose ids are not known in advance."""

RECEIVE: Final = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"]


def objects(prefix: str) -> dict[str, str]:
    """The bucket's objects under a prefix."""
    return {"Fn::Sub": f"${{Bucket.Arn}}/{prefix}/*"}


def keys_like(*patterns: str) -> dict[str, Any]:
    """The condition that a request names at least one key, and that each of its keys matches one of the patterns."""
    return {
        "ForAllValues:StringLike": {"dynamodb:LeadingKeys": list(patterns)},
        "Null": {"dynamodb:LeadingKeys": "false"},
    }


def items(*kinds: str) -> dict[str, Any]:
    """The condition that a request names at least one key, and that each of its keys is of one of the kinds."""
    return keys_like(*(f"{kind}#*" for kind in kinds))


def listed(kind: str) -> dict[str, Any]:
    """The condition that a query of the index of all items is for one kind of item."""
    return {
        "ForAllValues:StringEquals": {"dynamodb:LeadingKeys": [kind]},
        "Null": {"dynamodb:LeadingKeys": "false"},
    }


ENDS_JOBS: Final[dict[str, Statement]] = {
    "FindStoredImages": (
        ["s3:ListBucket"],
        {"Fn::GetAtt": ["Bucket", "Arn"]},
        {"StringLike": {"s3:prefix": "images/*"}},
    ),
    "CountRequestFileLines": (["dynamodb:UpdateItem"], TABLE, items("batch")),
    "StoreResults": (["s3:PutObject"], objects("results"), None),
}
READS_CONFIGURATION: Final[dict[str, Statement]] = {
    "ReadConfiguration": (["ssm:GetParameter"], CONFIG_PARAMETER, None),
    "ReadLongValues": (["s3:GetObject"], objects("config"), None),
}
RESPONDS_WITH_JOBS: Final[dict[str, Statement]] = {
    "QueueJobs": (["sqs:SendMessage"], JOB_QUEUE, None),
    "StoreAndSignLongResponses": (["s3:GetObject", "s3:PutObject"], objects("answers"), None),
}
PUBLISHES_EVENTS: Final[dict[str, Statement]] = {
    "PublishJobEvents": (["events:PutEvents"], EVENT_BUS, {"StringEquals": {"events:source": "image-gateway"}}),
    "RecordAnnouncements": (
        ["dynamodb:UpdateItem"],
        TABLE,
        {
            "ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["job#*"]},
            "ForAllValues:StringEquals": {"dynamodb:Attributes": ["pk", "announced", "settled", "end_user"]},
            "StringEqualsIfExists": {"dynamodb:ReturnValues": "NONE"},
            "Null": {"dynamodb:LeadingKeys": "false", "dynamodb:Attributes": "false"},
        },
    ),
    "ChargeLimits": (["dynamodb:GetItem", "dynamodb:UpdateItem"], TABLE, items("limits")),
    "CountUsage": (["dynamodb:UpdateItem"], USAGE_TABLE, None),
}
RECORDS_TOKEN_USE: Final[dict[str, Statement]] = {
    "RecordTokenUse": (
        ["dynamodb:UpdateItem"],
        TABLE,
        {
            "ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["token#*"]},
            "ForAllValues:StringEquals": {"dynamodb:Attributes": ["pk", "last_used_at"]},
            "StringEquals": {"dynamodb:ReturnValues": "NONE"},
            "Null": {"dynamodb:LeadingKeys": "false", "dynamodb:Attributes": "false"},
        },
    )
}
SUBMITS_JOBS: Final[dict[str, Statement]] = {
    **RESPONDS_WITH_JOBS,
    "StoreAndSignImages": (["s3:GetObject", "s3:PutObject"], objects("images"), None),
    "ReadTokensAndJobs": (
        ["dynamodb:GetItem"],
        TABLE,
        items("token", "job", "idempotency", "retry", "cooldown", "forgotten"),
    ),
    "RecordCooldown": (["dynamodb:UpdateItem"], TABLE, items("cooldown")),
    "RecordJobs": (["dynamodb:PutItem"], TABLE, items("job", "idempotency", "retry")),
}

EXPECTED: Final[dict[str, dict[str, Statement]]] = {
    "ConfigFunction": {
        **RECORDS_TOKEN_USE,
        "ReadAndReplaceConfiguration": (["ssm:GetParameter", "ssm:PutParameter"], CONFIG_PARAMETER, None),
        "ReadAndWriteLongValues": (["s3:GetObject", "s3:PutObject"], objects("config"), None),
        "ReadTokens": (["dynamodb:GetItem"], TABLE, items("token", "token-id", "cooldown", "limits")),
        "ReadListedTokens": (["dynamodb:BatchGetItem"], TABLE, items("token", "token-id", "limits")),
        "ListTokens": (["dynamodb:Query"], INDEX_OF_ALL, listed("token")),
        "CreateAndRevokeTokens": (
            ["dynamodb:PutItem", "dynamodb:DeleteItem"],
            TABLE,
            items("token", "token-id", "limits"),
        ),
        "ChangeLimits": (["dynamodb:UpdateItem"], TABLE, items("limits")),
        "ChangeTokens": (
            ["dynamodb:UpdateItem"],
            TABLE,
            {
                "ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["token#*", "token-id#*"]},
                "ForAllValues:StringEquals": {"dynamodb:Attributes": ["pk", "metered", "forwards_users"]},
                "Null": {"dynamodb:LeadingKeys": "false", "dynamodb:Attributes": "false"},
            },
        ),
        "CountAdministrators": (
            ["dynamodb:UpdateItem", "dynamodb:ConditionCheckItem"],
            TABLE,
            items("token-count"),
        ),
        "ReadUsage": (["dynamodb:Query"], USAGE_TABLE, None),
        "ForgetUsage": (["dynamodb:DeleteItem"], USAGE_TABLE, items("end-users")),
        "FindEndUsers": (["dynamodb:Query"], [INDEX_BY_END_USER, USAGE_BY_END_USER], None),
        "RemoveLabels": (
            ["dynamodb:UpdateItem"],
            TABLE,
            {
                "ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["job#*"]},
                "ForAllValues:StringEquals": {"dynamodb:Attributes": ["pk", "status", "end_user"]},
                "StringEquals": {"dynamodb:ReturnValues": "NONE"},
                "Null": {"dynamodb:LeadingKeys": "false", "dynamodb:Attributes": "false"},
            },
        ),
        "RememberForgottenEndUsers": (["dynamodb:PutItem"], TABLE, items("forgotten")),
        "UseLocks": (["dynamodb:PutItem", "dynamodb:DeleteItem"], TABLE, items("lock")),
    },
    "GenerateFunction": {
        **READS_CONFIGURATION,
        **RECORDS_TOKEN_USE,
        **PUBLISHES_EVENTS,
        **SUBMITS_JOBS,
    },
    "EditFunction": {
        **READS_CONFIGURATION,
        **RECORDS_TOKEN_USE,
        **PUBLISHES_EVENTS,
        **SUBMITS_JOBS,
        "StoreInputs": (["s3:PutObject"], objects("inputs"), None),
        "ReadAndSignUploads": (["s3:GetObject", "s3:PutObject"], objects("uploads"), None),
    },
    "JobsFunction": {
        **READS_CONFIGURATION,
        **RECORDS_TOKEN_USE,
        **PUBLISHES_EVENTS,
        **RESPONDS_WITH_JOBS,
        "SignImages": (["s3:GetObject"], objects("images"), None),
        "ReadTokensAndJobs": (["dynamodb:GetItem"], TABLE, items("token", "job", "forgotten")),
        "ReadListedJobs": (["dynamodb:BatchGetItem"], TABLE, items("job")),
        "ListJobsByOwner": (["dynamodb:Query"], INDEX_BY_OWNER, keys_like("token:*", "event:*")),
        "ListAllJobs": (["dynamodb:Query"], INDEX_OF_ALL, listed("job")),
        "ListJobsByEndUser": (["dynamodb:Query"], INDEX_BY_END_USER, None),
        "CancelJobsAndRememberRetries": (["dynamodb:PutItem"], TABLE, items("job", "retry#job")),
        "CountMessages": (["sqs:GetQueueAttributes"], [JOB_QUEUE, DEAD_LETTERS], None),
        "CountDeadLetters": (
            ["s3:ListBucket"],
            {"Fn::GetAtt": ["Bucket", "Arn"]},
            {"StringEquals": {"s3:prefix": "dead-letters/"}},
        ),
    },
    "ConsoleFunction": {},
    "WorkerFunction": {
        **READS_CONFIGURATION,
        **PUBLISHES_EVENTS,
        **ENDS_JOBS,
        "ReadAndStoreImages": (["s3:GetObject", "s3:PutObject"], objects("images"), None),
        "ReadAndStoreInputs": (["s3:GetObject", "s3:PutObject"], objects("inputs"), None),
        "ReadRequestFiles": (["s3:GetObject", "s3:GetObjectVersion"], objects("requests"), None),
        "ReadJobs": (["dynamodb:GetItem"], TABLE, items("job", "idempotency", "batch", "cooldown", "forgotten")),
        "ReadManyJobs": (["dynamodb:BatchGetItem"], TABLE, items("job", "slots")),
        "FindJobsToRecover": (["dynamodb:Query"], INDEX_OF_ALL, listed("job")),
        "RecordJobs": (["dynamodb:PutItem"], TABLE, items("job", "idempotency", "batch")),
        "HoldServerSlotsAndRecordCooldown": (["dynamodb:UpdateItem"], TABLE, items("slots", "cooldown")),
        "ReceiveMessages": (RECEIVE, JOB_QUEUE, None),
        "QueueJobsAndDeadLetters": (["sqs:SendMessage"], [JOB_QUEUE, DEAD_LETTERS], None),
    },
    "DeadLetterFunction": {
        **PUBLISHES_EVENTS,
        **ENDS_JOBS,
        "ReadStoredImages": (["s3:GetObject"], objects("images"), None),
        "StoreDeadLetters": (["s3:PutObject"], objects("dead-letters"), None),
        "ReadRequestFileLines": (["s3:GetObject"], {"Fn::Sub": "${Bucket.Arn}/inputs/*/lines.json"}, None),
        "ReadJobs": (["dynamodb:GetItem"], TABLE, items("job", "batch", "forgotten")),
        "ReadJobsOfRequestFiles": (["dynamodb:BatchGetItem"], TABLE, items("job")),
        "CompleteJobs": (["dynamodb:PutItem"], TABLE, items("job")),
        "ReceiveMessages": (RECEIVE, DEAD_LETTERS, None),
    },
}
"""By function, without the statements that depend on parameters."""

for _function, _statements in EXPECTED.items():
    _logs = {"Fn::GetAtt": [_function.replace("Function", "Logs"), "Arn"]}
    _statements["WriteLogs"] = (["logs:CreateLogStream", "logs:PutLogEvents"], _logs, None)
    _statements["WriteTraces"] = (["xray:PutTraceSegments", "xray:PutTelemetryRecords"], ANY_RESOURCE, None)

IN_A_VPC: Final[dict[str, Statement]] = {
    "ManageNetworkInterfaces": (
        [
            "ec2:CreateNetworkInterface",
            "ec2:DescribeNetworkInterfaces",
            "ec2:DescribeSubnets",
            "ec2:DeleteNetworkInterface",
            "ec2:AssignPrivateIpAddresses",
            "ec2:UnassignPrivateIpAddresses",
        ],
        ANY_RESOURCE,
        {"Null": {"lambda:SourceFunctionArn": "true"}},
    )
}
"""What a function that joins a VPC has in addition."""
