"""The sandbox's reading of `template.yaml`."""

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
          Properties: {Method: POST, Path: "/paint/{colour}"}
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


def test_a_function_is_read(small: Path) -> None:
    """A function has its handler, runtime and limits, from the globals where it says nothing itself."""
    (function,) = Template(small).functions()

    assert (function.name, function.handler) == ("PaintFunction", "functions.paint.app.handler")
    assert function.runtime == "python3.12"
    assert (function.timeout, function.memory) == (12, 512)


def test_only_http_events_are_routes(small: Path) -> None:
    """Of a function's events, those of the HTTP API are its routes."""
    (function,) = Template(small).functions()

    assert function.routes == [Route("POST", "/paint/{colour}", "PaintFunction")]


def test_the_environment_is_resolved(small: Path) -> None:
    """The globals' variables and the function's own hold the parameters' defaults and the sandbox's names."""
    (function,) = Template(small).functions()

    assert function.environment == {"DAYS": "7", "BUCKET": "sandbox-images", "NAME": "/paint/sandbox/7"}


def test_a_parameter_wins_over_its_default(small: Path) -> None:
    """A given parameter is used in place of the template's default; one without default is empty."""
    template = Template(small, {"Days": "1"})

    assert template.functions()[0].environment["DAYS"] == "1"
    assert template.values["Hosts"] == ""


def test_short_forms_read_as_long_ones(small: Path) -> None:
    """CloudFormation's short forms become its long ones, `GetAtt` with its two parts apart, and nested ones too."""
    properties = Template(small).properties("PaintFunction")

    assert properties["Role"] == {"Fn::GetAtt": ["Painter", "Arn"]}
    assert properties["VpcConfig"] == {"Fn::If": ["InVpc", {"Fn::Select": [0, ["a"]]}, {"Ref": "AWS::NoValue"}]}
    assert Template(small).properties("Secrets") == {"Fn::Transform": {"Name": "AWS::Include"}}


def test_a_queue_is_named_in_four_ways(small: Path) -> None:
    """A queue's `Ref` is its URL on the given server; its ARN and its name are attributes, within texts too."""
    template = Template(small, stack="demo", sqs_url="http://127.0.0.1:1")
    values = [{"Ref": "Work"}, *({"Fn::GetAtt": ["Work", name]} for name in ("QueueUrl", "QueueName"))]

    assert [template.resolve(value) for value in values] == [
        "http://127.0.0.1:1/123456789012/demo-work",
        "http://127.0.0.1:1/123456789012/demo-work",
        "demo-work",
    ]
    assert template.resolve({"Fn::Sub": "<${Work.Arn}>"}) == "<arn:aws:sqs:eu-central-1:123456789012:demo-work>"


def test_a_mapping_is_read(small: Path) -> None:
    """A mapping has its queue, its function and its limits."""
    (mapping,) = Template(small).queue_mappings()

    assert mapping == QueueMapping(
        function="PaintFunction",
        url="https://sqs.eu-central-1.amazonaws.com/123456789012/sandbox-work",
        arn="arn:aws:sqs:eu-central-1:123456789012:sandbox-work",
        batch_size=5,
        concurrency=7,
    )


def test_a_timeout_can_be_a_parameter(small: Path) -> None:
    """A function's timeout follows the parameter it refers to."""
    assert Template(small, {"Seconds": "3"}).functions()[0].timeout == 3


def test_what_lies_within_is_resolved(small: Path) -> None:
    """In lists and mappings what stands for something else is resolved; scalars stay what they are."""
    value = {"a": [{"Ref": "Days"}, 1], "b": {"c": {"Fn::Sub": "${Days}d"}, "d": True}}

    assert Template(small).resolve_within(value) == {"a": ["7", 1], "b": {"c": "7d", "d": True}}


@pytest.mark.parametrize("value", [{"Fn::ImportValue": "x"}, ["a"], {"Ref": "Nothing"}, {"Fn::Sub": "${Nothing.Arn}"}])
def test_what_cannot_be_resolved_is_named(small: Path, value: object) -> None:
    """What the sandbox does not know, or a name that the template does not have, is an error that says so."""
    with pytest.raises(KeyError, match=r"ImportValue|\['a'\]|Nothing"):
        Template(small).resolve(value)


@pytest.mark.parametrize(
    ("hosts", "chosen"), [("", "public"), ("a.example", "private"), ("a.example,b.example", "private")]
)
def test_a_condition_decides(small: Path, hosts: str, chosen: str) -> None:
    """Of the two values of an `If` the one counts that the parameters' values make right."""
    template = Template(small, {"Hosts": hosts})

    assert template.resolve({"Fn::If": ["HasHosts", "private", "public"]}) == chosen
    assert template.holds("HasHosts") is (chosen == "private")


def test_a_list_is_joined(small: Path) -> None:
    """A list parameter's items are joined by another separator."""
    template = Template(small, {"Hosts": "a.example,b.example"})

    assert template.resolve({"Fn::Join": ["; ", {"Ref": "Hosts"}]}) == "a.example; b.example"


def test_a_condition_that_cannot_be_decided(small: Path) -> None:
    """A condition of a form that the sandbox does not know is an error that shows it."""
    with pytest.raises(KeyError, match="Fn::And"):
        Template(small).holds("IsBoth")


def test_scalars_are_text(small: Path) -> None:
    """A number in an environment is the text that a process gets."""
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
        ("/openapi.json", "/openapi.json", {}),
    ],
)
def test_a_route_matches(template: str, path: str, parameters: dict[str, str]) -> None:
    """A path of the route's form matches, and its parameters are given."""
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
    """Another path, one with a slash more or one without its parameter is not the route's; a dot is a dot."""
    assert Route("GET", template, "F").match(path) is None
