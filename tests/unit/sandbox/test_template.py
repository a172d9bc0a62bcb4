"""The sandbox reads functions, queues and routes from a template, and resolves its references and conditions."""

from pathlib import Path

import pytest

from sandbox.template import QueueMapping, Route, Template

SMALL = """
Parameters:
  Days: {Type: Number, Default: 7}
  Hosts: {Type: String}
  Seconds: {Type: Number, Default: 12}
Conditions:
  HasHosts: !Not [!Equals [!Join ["", !Ref Hosts], ""]]
  HasNoHosts: !EachMemberEquals [!Ref Hosts, ""]
  IsBoth: !And [!Condition HasHosts, !Condition HasHosts]
Globals:
  Function:
    Runtime: python3.12
    MemorySize: 512
    Environment:
      Variables:
        DAYS: !Ref Days
        BUCKET: !Ref Images
Resources:
  Images:
    Type: AWS::S3::Bucket
    Properties: {}
  PaintFunction:
    Type: AWS::Serverless::Function
    Properties:
      Handler: functions.paint.app.handler
      Timeout: !Ref Seconds
      Role: !GetAtt Painter.Arn
      VpcConfig: !If [InVpc, !Select [0, [a]], !Ref AWS::NoValue]
      Environment:
        Variables:
          NAME: !Sub /paint/${AWS::StackName}/${Days}
      Events:
        Paint:
          Type: HttpApi
          Properties: {Method: POST, Path: "/paint/{color}"}
        Nightly:
          Type: Schedule
          Properties: {Schedule: rate(1 day)}
  Work:
    Type: AWS::SQS::Queue
    Properties: {}
  WorkMapping:
    Type: AWS::Lambda::EventSourceMapping
    Properties:
      EventSourceArn: !GetAtt Work.Arn
      FunctionName: !Ref PaintFunction
      BatchSize: 5
      ScalingConfig: {MaximumConcurrency: !Ref Days}
  Secrets:
    Type: Custom::Secrets
    Properties: !Transform {Name: AWS::Include}
"""


@pytest.fixture
def small(tmp_path: Path) -> Path:
    path = tmp_path / "template.yaml"
    path.write_text(SMALL)
    return path


def test_a_function_inherits_the_globals(small: Path) -> None:
    """A function has its handler, runtime and limits, from the globals where it does not define them."""
    (function,) = Template(small).functions()

    assert (function.name, function.handler) == ("PaintFunction", "functions.paint.app.handler")
    assert function.runtime == "python3.12"
    assert (function.timeout, function.memory) == (12, 512)


def test_only_http_events_are_routes(small: Path) -> None:
    """A function's routes are those of its events that belong to the HTTP API."""
    (function,) = Template(small).functions()

    assert function.routes == [Route("POST", "/paint/{color}", "PaintFunction")]


def test_environment_variables_are_resolved(small: Path) -> None:
    """The globals' variables and the function's own contain the parameters' defaults and the resources' names."""
    (function,) = Template(small).functions()

    assert function.environment == {"DAYS": "7", "BUCKET": "sandbox-images", "NAME": "/paint/sandbox/7"}


def test_a_parameter_overrides_its_default(small: Path) -> None:
    """A parameter's value replaces the template's default; a parameter with neither is empty."""
    template = Template(small, {"Days": "1"})

    assert template.functions()[0].environment["DAYS"] == "1"
    assert template.values["Hosts"] == ""


def test_short_forms_become_long_forms(small: Path) -> None:
    """CloudFormation's short forms become long forms, nested ones too; `GetAtt` becomes a list of its two parts."""
    properties = Template(small).properties("PaintFunction")

    assert properties["Role"] == {"Fn::GetAtt": ["Painter", "Arn"]}
    assert properties["VpcConfig"] == {"Fn::If": ["InVpc", {"Fn::Select": [0, ["a"]]}, {"Ref": "AWS::NoValue"}]}
    assert Template(small).properties("Secrets") == {"Fn::Transform": {"Name": "AWS::Include"}}


def test_a_queue_has_url_name_and_arn(small: Path) -> None:
    """A queue's `Ref` and `QueueUrl` are its URL on the given server; its name and ARN are attributes, in `Sub` too."""
    template = Template(small, stack="demo", sqs_url="http://127.0.0.1:1")
    values = [{"Ref": "Work"}, *({"Fn::GetAtt": ["Work", name]} for name in ("QueueUrl", "QueueName"))]

    assert [template.resolve(value) for value in values] == [
        "http://127.0.0.1:1/123456789012/demo-work",
        "http://127.0.0.1:1/123456789012/demo-work",
        "demo-work",
    ]
    assert template.resolve({"Fn::Sub": "<${Work.Arn}>"}) == "<arn:aws:sqs:eu-central-1:123456789012:demo-work>"


def test_an_event_source_mapping_is_read(small: Path) -> None:
    """An event source mapping has its queue, its function and its limits."""
    (mapping,) = Template(small).queue_mappings()

    assert mapping == QueueMapping(
        function="PaintFunction",
        url="https://sqs.eu-central-1.amazonaws.com/123456789012/sandbox-work",
        arn="arn:aws:sqs:eu-central-1:123456789012:sandbox-work",
        batch_size=5,
        concurrency=7,
    )


def test_a_timeout_can_be_a_parameter(small: Path) -> None:
    """A function's timeout is the value of the parameter that it refers to."""
    assert Template(small, {"Seconds": "3"}).functions()[0].timeout == 3


def test_nested_functions_are_resolved(small: Path) -> None:
    """Functions in lists and mappings are resolved; scalars are unchanged."""
    value = {"a": [{"Ref": "Days"}, 1], "b": {"c": {"Fn::Sub": "${Days}d"}, "d": True}}

    assert Template(small).resolve_within(value) == {"a": ["7", 1], "b": {"c": "7d", "d": True}}


@pytest.mark.parametrize("value", [{"Fn::ImportValue": "x"}, ["a"], {"Ref": "Nothing"}, {"Fn::Sub": "${Nothing.Arn}"}])
def test_an_unresolvable_value_is_an_error(small: Path, value: object) -> None:
    """An unsupported function, or a name that is not in the template, is an error that names it."""
    with pytest.raises(KeyError, match=r"ImportValue|\['a'\]|Nothing"):
        Template(small).resolve(value)


@pytest.mark.parametrize(
    ("hosts", "expected"), [("", "public"), ("a.example", "private"), ("a.example,b.example", "private")]
)
def test_if_is_resolved_by_its_condition(small: Path, hosts: str, expected: str) -> None:
    """An `If` is resolved to one of its two values, depending on the parameters."""
    template = Template(small, {"Hosts": hosts})

    assert template.resolve({"Fn::If": ["HasHosts", "private", "public"]}) == expected
    assert template.holds("HasHosts") is (expected == "private")


def test_a_list_is_joined(small: Path) -> None:
    """A list parameter's items are joined with another separator."""
    template = Template(small, {"Hosts": "a.example,b.example"})

    assert template.resolve({"Fn::Join": ["; ", {"Ref": "Hosts"}]}) == "a.example; b.example"


@pytest.mark.parametrize(
    ("values", "same"), [("", True), ("a", False), ("a,a", False), ("a,", False), (",", True), (" , ", True)]
)
def test_the_members_of_a_list_are_compared(small: Path, values: str, same: bool) -> None:
    """Every member must be equal to the text; an empty list has one member, the empty text."""
    template = Template(small, {"Hosts": values})

    assert template.holds("HasNoHosts") is same


def test_an_unsupported_condition_is_an_error(small: Path) -> None:
    """A condition with a function that the sandbox does not support is an error that names it."""
    with pytest.raises(KeyError, match="Fn::And"):
        Template(small).holds("IsBoth")


def test_a_number_is_resolved_to_text(small: Path) -> None:
    """A number becomes text, as environment variables need it."""
    assert Template(small).resolve(30) == "30"


@pytest.mark.parametrize(
    ("template", "path", "parameters"),
    [
        ("/health", "/health", {}),
        ("/jobs/{id}", "/jobs/a-1", {"id": "a-1"}),
        ("/jobs/{id}/result", "/jobs/a/result", {"id": "a"}),
        ("/jobs/{id}", "/jobs/\nü", {"id": "\nü"}),
        ("/a/{b}/{c}", "/a/1/2", {"b": "1", "c": "2"}),
        ("/models/{id+}", "/models/engine/model\n", {"id": "engine/model\n"}),
        ("/models/{id+}", "/models/", {"id": ""}),
        ("/openapi.json", "/openapi.json", {}),
        ("$default", "/any/path", {}),
    ],
)
def test_a_route_matches(template: str, path: str, parameters: dict[str, str]) -> None:
    """A path of the route's form matches, and its parameters are returned."""
    assert Route("GET", template, "F").match(path) == parameters


@pytest.mark.parametrize(
    ("template", "path"),
    [
        ("/health", "/health/"),
        ("/health", "/healthy"),
        ("/health", "/"),
        ("/jobs/{id}", "/jobs/"),
        ("/jobs/{id}", "/jobs/a/b"),
        ("/openapi.json", "/openapi-json"),
    ],
)
def test_a_route_does_not_match(template: str, path: str) -> None:
    """Another path, one with an additional slash or without its parameter does not match; dots are literal."""
    assert Route("GET", template, "F").match(path) is None
