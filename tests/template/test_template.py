"""What `template.yaml` promises: least privilege per function, private data, the routes of the applications."""

import re
from importlib import import_module
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute

from image_gateway.settings import Settings
from sandbox.template import ROOT, Template
from tests.template.conditions import decided

TEMPLATE = Template()
FUNCTIONS = {function.name: function for function in TEMPLATE.functions()}
RESOURCES: dict[str, dict[str, Any]] = TEMPLATE.document["Resources"]
LAYERS = [name for name, resource in RESOURCES.items() if resource["Type"] == "AWS::Serverless::LayerVersion"]

CONFIG_PARAMETER = {
    "Fn::Sub": "arn:${AWS::Partition}:ssm:${AWS::Region}:${AWS::AccountId}:"
    "parameter/image-gateway/${AWS::StackName}/config"
}
TABLE = {"Fn::GetAtt": ["Table", "Arn"]}
LISTED = {"Fn::Sub": "${Table.Arn}/index/listed"}
JOB_QUEUE = {"Fn::GetAtt": ["JobQueue", "Arn"]}
DEAD_LETTERS = {"Fn::GetAtt": ["DeadLetters", "Arn"]}
BUS = {"Fn::Sub": "arn:${AWS::Partition}:events:${AWS::Region}:${AWS::AccountId}:event-bus/${EventBusName}"}
RULES = ("RequestRule", "RequestFileRule", "LostJobsRule")
BY_RULES = {"ArnEquals": {"aws:SourceArn": [{"Fn::GetAtt": [rule, "Arn"]} for rule in RULES]}}
RECEIVE = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"]
HTTP_FUNCTIONS = [name for name, function in FUNCTIONS.items() if function.routes]
QUEUES = [name for name, resource in RESOURCES.items() if resource["Type"] == "AWS::SQS::Queue"]


def objects(prefix: str) -> dict[str, str]:
    """The bucket's objects under a prefix."""
    return {"Fn::Sub": f"${{Bucket.Arn}}/{prefix}/*"}


def items(*prefixes: str) -> dict[str, Any]:
    """The condition that each key of a request begins with one of these, and that there is a key."""
    return {
        "ForAllValues:StringLike": {"dynamodb:LeadingKeys": [f"{prefix}#*" for prefix in prefixes]},
        "Null": {"dynamodb:LeadingKeys": "false"},
    }


def listed(what: str) -> dict[str, Any]:
    """The condition that a query of the index over all asks for items of one kind."""
    return {
        "ForAllValues:StringEquals": {"dynamodb:LeadingKeys": [what]},
        "Null": {"dynamodb:LeadingKeys": "false"},
    }


Statement = tuple[list[str], Any, dict[str, Any] | None]

READS_CONFIGURATION: dict[str, Statement] = {
    "ReadTheConfiguration": (["ssm:GetParameter"], CONFIG_PARAMETER, None),
    "ReadLongValues": (["s3:GetObject"], objects("config"), None),
}
QUEUES_JOBS: dict[str, Statement] = {"QueueJobs": (["sqs:SendMessage"], JOB_QUEUE, None)}
TELLS_OF_JOBS: dict[str, Statement] = {
    "TellOfJobs": (["events:PutEvents"], BUS, {"StringEquals": {"events:source": "image-gateway"}})
}
NOTES_USE: dict[str, Statement] = {
    "NoteTheUseOfTokens": (
        ["dynamodb:UpdateItem"],
        TABLE,
        {
            "ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["token-id#*"]},
            "ForAllValues:StringEquals": {"dynamodb:Attributes": ["pk", "last_used_at"]},
            "StringEquals": {"dynamodb:ReturnValues": "NONE"},
            "Null": {"dynamodb:LeadingKeys": "false", "dynamodb:Attributes": "false"},
        },
    )
}

ALLOWED: dict[str, dict[str, Statement]] = {
    "ConfigFunction": {
        "ReadAndReplaceTheConfiguration": (["ssm:GetParameter", "ssm:PutParameter"], CONFIG_PARAMETER, None),
        "ReadAndWriteLongValues": (["s3:GetObject", "s3:PutObject"], objects("config"), None),
        **NOTES_USE,
        "LookUpTokens": (["dynamodb:GetItem"], TABLE, items("token", "token-id")),
        "ListTokens": (["dynamodb:Query"], LISTED, listed("token")),
        "MakeAndRevokeTokens": (["dynamodb:PutItem", "dynamodb:DeleteItem"], TABLE, items("token", "token-id")),
        "CountAdministrators": (
            ["dynamodb:UpdateItem", "dynamodb:ConditionCheckItem"],
            TABLE,
            items("token-count"),
        ),
        "TakeTurnsByALock": (["dynamodb:PutItem", "dynamodb:DeleteItem"], TABLE, items("lock")),
    },
    "GenerateFunction": {
        **READS_CONFIGURATION,
        **QUEUES_JOBS,
        **TELLS_OF_JOBS,
        "StoreAndSignPictures": (["s3:GetObject", "s3:PutObject"], objects("images"), None),
        "StoreAndSignLongAnswers": (["s3:GetObject", "s3:PutObject"], objects("answers"), None),
        **NOTES_USE,
        "LookUpTokensAndJobs": (["dynamodb:GetItem"], TABLE, items("token", "job", "idempotency", "retry")),
        "RecordJobs": (["dynamodb:PutItem"], TABLE, items("job", "idempotency", "retry")),
    },
    "EditFunction": {
        **READS_CONFIGURATION,
        **QUEUES_JOBS,
        **TELLS_OF_JOBS,
        "StoreAndSignPictures": (["s3:GetObject", "s3:PutObject"], objects("images"), None),
        "StoreAndSignLongAnswers": (["s3:GetObject", "s3:PutObject"], objects("answers"), None),
        "KeepInputs": (["s3:PutObject"], objects("inputs"), None),
        "ReadAndSignUploads": (["s3:GetObject", "s3:PutObject"], objects("uploads"), None),
        **NOTES_USE,
        "LookUpTokensAndJobs": (["dynamodb:GetItem"], TABLE, items("token", "job", "idempotency", "retry")),
        "RecordJobs": (["dynamodb:PutItem"], TABLE, items("job", "idempotency", "retry")),
    },
    "JobsFunction": {
        **READS_CONFIGURATION,
        **QUEUES_JOBS,
        **TELLS_OF_JOBS,
        "SignPictures": (["s3:GetObject"], objects("images"), None),
        "StoreAndSignLongAnswers": (["s3:GetObject", "s3:PutObject"], objects("answers"), None),
        "LookUpTokensAndJobs": (["dynamodb:GetItem"], TABLE, items("token", "job")),
        **NOTES_USE,
        "ListJobsOfAnOwner": (
            ["dynamodb:Query"],
            {"Fn::Sub": "${Table.Arn}/index/by-owner"},
            {
                "ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["token:*", "event:*"]},
                "Null": {"dynamodb:LeadingKeys": "false"},
            },
        ),
        "ListAllJobs": (["dynamodb:Query"], LISTED, listed("job")),
        "CancelJobs": (["dynamodb:PutItem"], TABLE, items("job")),
    },
    "WorkerFunction": {
        **READS_CONFIGURATION,
        **TELLS_OF_JOBS,
        "ReadAndStorePictures": (["s3:GetObject", "s3:PutObject"], objects("images"), None),
        "ReadAndKeepInputs": (["s3:GetObject", "s3:PutObject"], objects("inputs"), None),
        "ReadRequestFiles": (["s3:GetObject", "s3:GetObjectVersion"], objects("requests"), None),
        "WriteResults": (["s3:PutObject"], objects("results"), None),
        "ReadJobs": (["dynamodb:GetItem"], TABLE, items("job", "idempotency", "batch")),
        "ReadJobsOfAFile": (["dynamodb:BatchGetItem"], TABLE, items("job")),
        "FindLostJobs": (["dynamodb:Query"], LISTED, listed("job")),
        "RecordJobs": (["dynamodb:PutItem"], TABLE, items("job", "idempotency", "batch")),
        "CountLines": (["dynamodb:UpdateItem"], TABLE, items("batch")),
        "TakePlacesOnEngines": (["dynamodb:PutItem", "dynamodb:DeleteItem"], TABLE, items("lock#engine")),
        "ReceiveMessages": (RECEIVE, JOB_QUEUE, None),
        "QueueJobsAndDeadLetters": (["sqs:SendMessage"], [JOB_QUEUE, DEAD_LETTERS], None),
    },
    "DeadLetterFunction": {
        **TELLS_OF_JOBS,
        "KeepDeadLetters": (["s3:PutObject"], objects("dead-letters"), None),
        "ReadLinesOfFiles": (["s3:GetObject"], {"Fn::Sub": "${Bucket.Arn}/inputs/*/lines.json"}, None),
        "WriteResults": (["s3:PutObject"], objects("results"), None),
        "ReadJobs": (["dynamodb:GetItem"], TABLE, items("job", "batch")),
        "ReadJobsOfAFile": (["dynamodb:BatchGetItem"], TABLE, items("job")),
        "EndJobs": (["dynamodb:PutItem"], TABLE, items("job")),
        "CountLines": (["dynamodb:UpdateItem"], TABLE, items("batch")),
        "ReceiveMessages": (RECEIVE, DEAD_LETTERS, None),
    },
}

ANYTHING = "*"
"""For X-Ray, whose actions have no resources, and the network, whose interfaces Lambda makes and names."""

for _function, _statements in ALLOWED.items():
    _logs = {"Fn::GetAtt": [_function.replace("Function", "Logs"), "Arn"]}
    _statements["WriteLogs"] = (["logs:CreateLogStream", "logs:PutLogEvents"], _logs, None)
    _statements["WriteTraces"] = (["xray:PutTraceSegments", "xray:PutTelemetryRecords"], ANYTHING, None)

JOINS_A_NETWORK: dict[str, Statement] = {
    "JoinTheNetwork": (
        [
            "ec2:CreateNetworkInterface",
            "ec2:DescribeNetworkInterfaces",
            "ec2:DescribeSubnets",
            "ec2:DeleteNetworkInterface",
            "ec2:AssignPrivateIpAddresses",
            "ec2:UnassignPrivateIpAddresses",
        ],
        ANYTHING,
        {"Null": {"lambda:SourceFunctionArn": "true"}},
    )
}


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def statements(function: str) -> list[dict[str, Any]]:
    """Every statement of every policy of a function's role, as long as no parameter asks for more."""
    policies = decided(RESOURCES[f"{function}Role"]["Properties"]["Policies"], TEMPLATE)
    return [statement for policy in policies for statement in policy["PolicyDocument"]["Statement"]]


def actions_by_sid(found: list[dict[str, Any]]) -> dict[str, Statement]:
    return {one["Sid"]: (as_list(one["Action"]), one["Resource"], one.get("Condition")) for one in found}


def app_of(function: str) -> FastAPI:
    module = import_module(FUNCTIONS[function].handler.rpartition(".")[0])
    app: FastAPI = module.app
    return app


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_may_do_exactly_this(function: str) -> None:
    """Each statement of a function's policy has the actions, the resource and the condition that it needs."""
    assert actions_by_sid(statements(function)) == ALLOWED[function]
    assert all(statement["Effect"] == "Allow" for statement in statements(function))


@pytest.mark.parametrize("function", FUNCTIONS)
def test_no_function_has_a_policy_by_name(function: str) -> None:
    """A function has a role of its own, for Lambda alone, whose policies are written out: nothing is added by name."""
    properties, role = RESOURCES[function]["Properties"], RESOURCES[f"{function}Role"]["Properties"]

    assert properties["Role"] == {"Fn::GetAtt": [f"{function}Role", "Arn"]}
    assert "Policies" not in properties
    assert set(role) == {"AssumeRolePolicyDocument", "Policies"}
    assert role["AssumeRolePolicyDocument"]["Statement"] == [
        {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    ]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_only_what_joins_a_network_may_use_one(function: str) -> None:
    """With a VPC, and no sooner, Lambda may make interfaces for the functions that join it; their own code may not."""
    inside = Template(parameters={"VpcSubnetIds": "subnet-1", "VpcSecurityGroupIds": "sg-1"})
    policies = decided(RESOURCES[f"{function}Role"]["Properties"]["Policies"], inside)
    found = actions_by_sid([one for policy in policies for one in policy["PolicyDocument"]["Statement"]])
    joins = decided(RESOURCES[function]["Properties"], inside).get("VpcConfig")

    assert found == {**ALLOWED[function], **(JOINS_A_NETWORK if joins else {})}


@pytest.mark.parametrize("function", FUNCTIONS)
def test_no_wildcards(function: str) -> None:
    """No action has a wildcard, and a resource only for what stands under a prefix."""
    for statement in statements(function):
        assert not [action for action in as_list(statement["Action"]) if "*" in action]
        if statement["Sid"] == "WriteTraces":
            continue
        for resource in as_list(statement["Resource"]):
            text = resource.get("Fn::Sub", "") if isinstance(resource, dict) else resource
            assert "*" not in re.sub(r"^\$\{Bucket\.Arn\}/[\w-]+/\*(/\w+\.json)?$", "", text)


@pytest.mark.parametrize("function", HTTP_FUNCTIONS)
def test_routes_are_those_of_the_application(function: str) -> None:
    """The template routes to a function just what its application answers; results, which several do, to one."""
    answered = {
        (method, route.path.replace(":path}", "+}"))
        for route in app_of(function).routes
        if isinstance(route, APIRoute)
        for method in route.methods or ()
    }
    routed = {(route.method, route.path) for route in FUNCTIONS[function].routes}
    results = {("GET", f"{door}/images/jobs/{{id}}/result") for door in ("/api/v1", "/v1")}

    assert routed - answered == set()
    assert answered - routed in (set(), results)


def test_a_route_has_one_function() -> None:
    """No two functions have the same route, and each route names the one API."""
    routes = [(route.method, route.path) for function in FUNCTIONS.values() for route in function.routes]
    events = [event for name in HTTP_FUNCTIONS for event in RESOURCES[name]["Properties"]["Events"].values()]

    assert len(routes) == len(set(routes))
    assert all(event["Properties"]["ApiId"] == {"Ref": "Api"} for event in events)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_handlers_can_be_imported(function: str) -> None:
    """The handler that the template names exists, in the folder that is built for the function."""
    module, _, name = FUNCTIONS[function].handler.rpartition(".")

    assert callable(getattr(import_module(module), name))
    assert (ROOT / module.replace(".", "/")).with_suffix(".py").is_file()
    assert module.rpartition(".")[0] == RESOURCES[function]["Properties"]["CodeUri"].replace("/", ".")


@pytest.mark.parametrize("function", FUNCTIONS)
def test_handlers_are_short(function: str) -> None:
    """A function's own code is routes, or the reading of an event, that call the shared package."""
    module = FUNCTIONS[function].handler.rpartition(".")[0].replace(".", "/")
    lines = (ROOT / module).with_suffix(".py").read_text().splitlines()

    assert len(lines) <= 115


@pytest.mark.parametrize("function", FUNCTIONS)
def test_the_environment_is_what_settings_read(function: str) -> None:
    """A function gets variables that the settings know, all that have no default, and no secret among them."""
    given = {name.lower() for name in FUNCTIONS[function].environment}
    required = {name for name, field in Settings.model_fields.items() if field.is_required()}

    assert given <= set(Settings.model_fields)
    assert required <= given


@pytest.mark.parametrize("function", FUNCTIONS)
def test_the_environment_makes_valid_settings(function: str) -> None:
    """The parameters' defaults are settings that a function can start with."""
    settings = Settings.from_environment(FUNCTIONS[function].environment)

    assert settings.config_parameter == "/image-gateway/sandbox/config"


@pytest.mark.parametrize("function", FUNCTIONS)
def test_logs_are_json_and_end(function: str) -> None:
    """A function writes JSON lines to a log group of its own, which is deleted with the stack and forgets in time."""
    shared = TEMPLATE.document["Globals"]["Function"]
    group = RESOURCES[function]["Properties"]["LoggingConfig"]["LogGroup"]["Ref"]
    users = [name for name in FUNCTIONS if RESOURCES[name]["Properties"]["LoggingConfig"]["LogGroup"] == {"Ref": group}]

    assert users == [function]
    assert shared["LoggingConfig"]["LogFormat"] == "JSON"
    assert RESOURCES[group]["Properties"]["RetentionInDays"] == {"Ref": "LogRetentionDays"}
    assert RESOURCES[group]["DeletionPolicy"] == "Delete"


@pytest.mark.parametrize("function", sorted(set(FUNCTIONS) - {"DeadLetterFunction"}))
def test_functions_can_join_a_vpc(function: str) -> None:
    """A function that calls engines joins the given network, and none where no subnet is given."""
    (condition, network, otherwise) = RESOURCES[function]["Properties"]["VpcConfig"]["Fn::If"]

    assert condition == "InVpc"
    assert network == {"SubnetIds": {"Ref": "VpcSubnetIds"}, "SecurityGroupIds": {"Ref": "VpcSecurityGroupIds"}}
    assert otherwise == {"Ref": "AWS::NoValue"}


@pytest.mark.parametrize("name", LAYERS)
def test_functions_and_layers_are_of_one_kind(name: str) -> None:
    """Functions and layers have the same Python and follow the same architecture."""
    shared = TEMPLATE.document["Globals"]["Function"]
    layer = RESOURCES[name]

    assert shared["Runtime"] == layer["Metadata"]["BuildMethod"] == "python3.13"
    assert layer["Properties"]["CompatibleRuntimes"] == ["python3.13"]
    assert shared["Architectures"] == layer["Properties"]["CompatibleArchitectures"] == [{"Ref": "Architecture"}]
    assert layer["Metadata"]["BuildArchitecture"] == {"Ref": "Architecture"}
    assert TEMPLATE.values["Architecture"] == "arm64"


def test_requests_can_be_traced() -> None:
    """Every function is traced."""
    assert TEMPLATE.document["Globals"]["Function"]["Tracing"] == "Active"


def test_every_function_has_the_shared_layer() -> None:
    """All functions share one layer; Pillow is only in those that read or convert pictures."""
    own = {name: RESOURCES[name]["Properties"].get("Layers") for name in FUNCTIONS}
    imaging = [{"Ref": "ImagingLayer"}]

    assert TEMPLATE.document["Globals"]["Function"]["Layers"] == [{"Ref": "SharedLayer"}]
    with_pictures = dict.fromkeys(("GenerateFunction", "EditFunction", "WorkerFunction"), imaging)
    assert own == {**dict.fromkeys(FUNCTIONS), **with_pictures}


def test_parameters_are_described() -> None:
    """Every parameter says what it is, has a default and is on the console's page in a group."""
    parameters = TEMPLATE.document["Parameters"]
    groups = TEMPLATE.document["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]

    assert all(item["Description"].endswith(".") and "Default" in item for item in parameters.values())
    assert sorted(name for group in groups for name in group["Parameters"]) == sorted(parameters)


def test_parameters_have_limits() -> None:
    """A number is within bounds or one of a list, and a text has a pattern or is one of a list."""
    for name, item in TEMPLATE.document["Parameters"].items():
        if item["Type"] == "Number":
            assert "AllowedValues" in item or {"MinValue", "MaxValue"} <= set(item), name
        if item["Type"] == "String":
            assert "AllowedValues" in item or "AllowedPattern" in item, name


def test_the_bucket_is_private() -> None:
    """The bucket blocks every kind of public access, and has no ACLs."""
    bucket = RESOURCES["Bucket"]["Properties"]

    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert len(bucket["PublicAccessBlockConfiguration"]) == 4
    assert bucket["OwnershipControls"] == {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}


def test_the_bucket_refuses_plain_http() -> None:
    """Anything asked of the bucket without TLS is denied, whoever asks; nothing else is in its policy."""
    policy = RESOURCES["BucketPolicy"]["Properties"]
    (statement,) = policy["PolicyDocument"]["Statement"]

    assert policy["Bucket"] == {"Ref": "Bucket"}
    assert (statement["Effect"], statement["Principal"], statement["Action"]) == ("Deny", "*", "s3:*")
    assert statement["Resource"] == [{"Fn::GetAtt": ["Bucket", "Arn"]}, {"Fn::Sub": "${Bucket.Arn}/*"}]
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_pictures_outlive_the_stack_and_expire() -> None:
    """The bucket stays with its stack gone; what was asked and made ends by parameter, configuration values never."""
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


def test_inputs_outlive_messages() -> None:
    """What a message needs is kept longer than the queue keeps the message, and dead letters longer than both."""
    queue, dead = (RESOURCES[name]["Properties"]["MessageRetentionPeriod"] for name in ("JobQueue", "DeadLetters"))
    rules = {rule["Id"]: rule for rule in RESOURCES["Bucket"]["Properties"]["LifecycleConfiguration"]["Rules"]}

    assert queue < rules["inputs"]["ExpirationInDays"] * 86_400 < dead == 14 * 86_400


def test_the_table_costs_by_use() -> None:
    """The table is on demand, keyed by `pk`, restorable, and forgets items by `expires_at`."""
    table = RESOURCES["Table"]["Properties"]

    assert table["BillingMode"] == "PAY_PER_REQUEST"
    assert table["KeySchema"] == [{"AttributeName": "pk", "KeyType": "HASH"}]
    assert table["TimeToLiveSpecification"] == {"AttributeName": "expires_at", "Enabled": True}
    assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}


def test_outputs_are_described() -> None:
    """The outputs that `make token` reads are there, and each says what it is."""
    outputs = TEMPLATE.document["Outputs"]

    assert {"Url", "BucketName", "TableName", "ConfigParameterName"} <= set(outputs)
    assert all(item["Description"].endswith(".") for item in outputs.values())


def test_the_configuration_is_where_the_functions_look() -> None:
    """The parameter in the outputs, in the environment and in the policies is one and the same."""
    shared = TEMPLATE.document["Globals"]["Function"]["Environment"]["Variables"]
    name = TEMPLATE.document["Outputs"]["ConfigParameterName"]["Value"]

    assert shared["CONFIG_PARAMETER"] == name
    assert CONFIG_PARAMETER["Fn::Sub"].endswith(f":parameter{name['Fn::Sub']}")


@pytest.mark.parametrize("function", sorted(set(FUNCTIONS) - {"ConfigFunction"}))
def test_functions_know_their_limit(function: str) -> None:
    """A function that holds jobs knows its own timeout."""
    found = FUNCTIONS[function]

    assert int(found.environment["FUNCTION_TIMEOUT_SECONDS"]) == found.timeout


def test_functions_end_after_their_callers_are_answered() -> None:
    """What API Gateway alone calls ends before its 30 s are over; what has a URL too ends after its longer wait."""
    timeouts = {name: function.timeout for name, function in FUNCTIONS.items()}
    url_seconds = int(FUNCTIONS["GenerateFunction"].environment["WAIT_SECONDS_URL"])

    assert timeouts["ConfigFunction"] == timeouts["JobsFunction"] == 29
    assert timeouts["GenerateFunction"] == timeouts["EditFunction"] == 60 > url_seconds == 55
    assert timeouts["WorkerFunction"] == 900


@pytest.mark.parametrize("function", ["GenerateFunction", "EditFunction", "JobsFunction"])
def test_requests_wait_less_than_the_api(function: str) -> None:
    """A request is answered before API Gateway gives it up."""
    assert int(FUNCTIONS[function].environment["WAIT_SECONDS"]) == 25


def test_functions_know_the_queue_and_the_bus() -> None:
    """Whoever takes jobs in or does them knows the queue; whoever ends them knows the bus; the worker can bury."""
    knowing = {
        variable: {name for name in FUNCTIONS if FUNCTIONS[name].environment.get(variable) == TEMPLATE.values[resource]}
        for variable, resource in {
            "QUEUE_URL": "JobQueue",
            "DEAD_LETTER_QUEUE_URL": "DeadLetters",
            "EVENT_BUS": "EventBusName",
        }.items()
    }

    assert knowing["QUEUE_URL"] == {"GenerateFunction", "EditFunction", "JobsFunction", "WorkerFunction"}
    assert knowing["DEAD_LETTER_QUEUE_URL"] == {"WorkerFunction"}
    assert knowing["EVENT_BUS"] == set(FUNCTIONS) - {"ConfigFunction"}


@pytest.mark.parametrize("queue", QUEUES)
def test_queues_refuse_plain_http(queue: str) -> None:
    """A queue takes messages of the two rules alone by its policy, and nothing without TLS."""
    policy = RESOURCES[f"{queue}Policy"]["Properties"]
    allowed, denied = policy["PolicyDocument"]["Statement"]
    arn = {"Fn::GetAtt": [queue, "Arn"]}

    assert policy["Queues"] == [{"Ref": queue}]
    assert (allowed["Effect"], allowed["Principal"]) == ("Allow", {"Service": "events.amazonaws.com"})
    assert (allowed["Action"], allowed["Resource"], allowed["Condition"]) == ("sqs:SendMessage", arn, BY_RULES)
    assert (denied["Effect"], denied["Principal"], denied["Action"]) == ("Deny", "*", "sqs:*")
    assert (denied["Resource"], denied["Condition"]) == (arn, {"Bool": {"aws:SecureTransport": "false"}})


def test_messages_are_hidden_longer_than_their_functions_run() -> None:
    """A message does not come back while its function may still be at work, and not long afterwards."""
    hidden = {name: int(TEMPLATE.resolve(RESOURCES[name]["Properties"]["VisibilityTimeout"])) for name in QUEUES}

    assert hidden["JobQueue"] == FUNCTIONS["WorkerFunction"].timeout + 60
    assert hidden["DeadLetters"] > FUNCTIONS["DeadLetterFunction"].timeout


def test_given_up_messages_are_dead_letters() -> None:
    """A message that was received five times goes to the dead letters, as does what a rule cannot deliver."""
    targets = [RESOURCES[rule]["Properties"]["Targets"] for rule in RULES]

    assert RESOURCES["JobQueue"]["Properties"]["RedrivePolicy"] == {
        "deadLetterTargetArn": DEAD_LETTERS,
        "maxReceiveCount": 5,
    }
    assert targets == [[{"Id": "jobs", "Arn": JOB_QUEUE, "DeadLetterConfig": {"Arn": DEAD_LETTERS}}]] * 3


@pytest.mark.parametrize(
    ("mapping", "queue", "function", "concurrency"),
    [
        ("JobQueueMapping", "JobQueue", "WorkerFunction", {"Ref": "WorkerMaximumConcurrency"}),
        ("DeadLettersMapping", "DeadLetters", "DeadLetterFunction", 2),
    ],
)
def test_queues_have_functions(mapping: str, queue: str, function: str, concurrency: Any) -> None:
    """A queue's messages go to its function at once, ten at most, each of which may fail alone."""
    assert RESOURCES[mapping]["Properties"] == {
        "EventSourceArn": {"Fn::GetAtt": [queue, "Arn"]},
        "FunctionName": {"Ref": function},
        "BatchSize": 10,
        "MaximumBatchingWindowInSeconds": 0,
        "FunctionResponseTypes": ["ReportBatchItemFailures"],
        "ScalingConfig": {"MaximumConcurrency": concurrency},
    }


def test_the_bucket_tells_of_its_objects() -> None:
    """The bucket tells EventBridge of new objects, on the default bus, where the rule for request files is."""
    notifications = RESOURCES["Bucket"]["Properties"]["NotificationConfiguration"]

    assert notifications == {"EventBridgeConfiguration": {"EventBridgeEnabled": True}}
    assert "EventBusName" not in RESOURCES["RequestFileRule"]["Properties"]
    assert RESOURCES["RequestRule"]["Properties"]["EventBusName"] == {"Ref": "EventBusName"}


@pytest.mark.parametrize(("alarm", "queue"), [("DeadLettersAlarm", "DeadLetters"), ("OldestMessageAlarm", "JobQueue")])
def test_alarms_watch_the_queues(alarm: str, queue: str) -> None:
    """An alarm is about its queue, is quiet without data, and tells the topic if there is one."""
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


@pytest.mark.parametrize("name", ["Generate", "Edit"])
def test_function_urls_are_off_by_default(name: str) -> None:
    """Everything that opens a function's own URL is there by the same condition, and that is false by default."""
    parts = [RESOURCES[f"{name}{part}"] for part in ("Url", "UrlPermission", "UrlInvokePermission")]

    assert TEMPLATE.values["FunctionUrl"] == "false"
    assert TEMPLATE.document["Conditions"]["HasFunctionUrl"] == {"Fn::Equals": [{"Ref": "FunctionUrl"}, "true"]}
    assert all(part["Condition"] == "HasFunctionUrl" for part in parts)
    assert parts[1]["Properties"]["FunctionUrlAuthType"] == parts[0]["Properties"]["AuthType"] == "NONE"
    assert parts[2]["Properties"]["InvokedViaFunctionUrl"] is True
