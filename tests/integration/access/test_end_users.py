"""End users: whom a trusted front end says that a request is for."""

import json
from typing import TYPE_CHECKING, Any

import pytest

from image_gateway.event_loop import run
from image_gateway.models.end_users import LABEL
from sandbox.engines.state import SandboxState
from tests.aws_clients import aws_client
from tests.integration.access.end_users import EMAIL, FOX, GENERATIONS, ID, TOKENS, end_users, generate, label_of, trust
from tests.integration.sample_images import RED, encoded, text

if TYPE_CHECKING:
    from tests.integration.deployment import Deployment

ALICE = "alice@planted.example"
EDIT_FORM = {"prompt": "a hat", "image": text(encoded(RED))}


@pytest.fixture
def front(openai_deployment: "Deployment") -> "Deployment":
    """A deployment with a trusted token, whose role is `front`. It edits too."""
    openai_deployment.enable_edits()
    trust(openai_deployment)
    return openai_deployment


def test_the_first_of_four_places_names_the_end_user(front: "Deployment") -> None:
    """Open WebUI's id, its address, then OpenAI's fields."""
    everything: dict[str, Any] = {"headers": {EMAIL: "b"}, "safety_identifier": "c", "user": "d"}
    alone = [label_of(front, user) for user in "abcd"]

    generate(front, "a", **everything)
    generate(front, **everything)
    generate(front, safety_identifier="c", user="d")
    generate(front, user="d")
    generate(front, user=" ", safety_identifier="")

    assert end_users(front)[4:] == [*alone, ""]


@pytest.mark.parametrize(
    ("path", "form"),
    [
        (GENERATIONS, FOX),
        ("/v1/images/generations", FOX),
        ("/api/v1/images/edit", EDIT_FORM),
        ("/v1/images/edits", EDIT_FORM),
    ],
)
def test_every_route_that_makes_images_knows_end_users(front: "Deployment", path: str, form: dict[str, Any]) -> None:
    """By header and by field."""
    for headers, fields in (({ID: ALICE}, {}), ({}, {"user": ALICE})):
        response = front.call("POST", path, form | fields, role="front", headers=headers)
        assert response.status == 200, response.text

    first, second = end_users(front)
    assert first == second
    assert LABEL.fullmatch(first)


def test_a_form_with_files_names_an_end_user(front: "Deployment") -> None:
    """Its field `user`, and the header beside it."""
    boundary = "planted-boundary"
    parts = {"prompt": b"a hat", "user": ALICE.encode(), 'image"; filename="a.png': encoded(RED)}
    body = b"".join(
        f'--{boundary}\r\ncontent-disposition: form-data; name="{name}"\r\n\r\n'.encode() + data + b"\r\n"
        for name, data in parts.items()
    )
    content_type = {"content-type": f"multipart/form-data; boundary={boundary}"}
    raw = body + f"--{boundary}--\r\n".encode()

    for headers in ({}, {ID: "bob"}):
        response = front.call("POST", "/v1/images/edits", raw=raw, role="front", headers=content_type | headers)
        assert response.status == 200, response.text

    assert end_users(front) == [label_of(front, ALICE), label_of(front, "bob")][:2]


def test_a_token_that_is_not_trusted_has_no_end_users(front: "Deployment", openai: SandboxState) -> None:
    """What it sends is ignored; `user` is what it was: a field for engines."""
    for headers in ({ID: ALICE}, {ID: "x" * 10_000}, {ID: "a,b", EMAIL: "\t"}):
        assert generate(front, role="user", headers=headers, user="me").status == 200

    assert end_users(front) == ["", "", ""]
    assert openai.record[-1].json["user"] == "me"
    assert front.jobs()[0].request["user"] == "me"


@pytest.mark.parametrize("value", ["x" * 513, "x" * 10_000, "a,b", "a, a", "a\x01b", "a\u200bb"])
def test_a_header_without_a_usable_end_user_is_refused(front: "Deployment", value: str) -> None:
    """Without an end user, nobody's budget would hold. API Gateway joins headers that were sent twice by a comma."""
    response = generate(front, value)

    assert (response.status, response.json["field"]) == (422, ID)
    assert front.jobs() == []


@pytest.mark.parametrize("name", ["user", "safety_identifier"])
def test_a_field_without_a_usable_end_user_is_refused(front: "Deployment", name: str) -> None:
    """A line end has no place in an id."""
    response = front.call("POST", GENERATIONS, FOX | {name: "a\nb"}, role="front")

    assert (response.status, response.json["field"]) == (422, name)


@pytest.mark.parametrize("value", ["", " ", "\t"])
def test_a_blank_header_is_none(front: "Deployment", value: str) -> None:
    """The next place counts."""
    assert generate(front, headers={ID: value, EMAIL: "alice"}).status == 200

    assert end_users(front) == [label_of(front, "alice")][:1]


def test_an_id_may_have_any_letters(front: "Deployment") -> None:
    """The same id in a header and in a field is the same end user."""
    assert generate(front, "Zoë").status == 200
    assert generate(front, user="Zoë").status == 200

    assert len({*end_users(front)}) == 1


def test_end_users_of_two_tokens_with_one_id_have_one_label(front: "Deployment") -> None:
    """A person who uses two front ends is one end user; budgets and usage are each token's own."""
    trust(front, "another front")

    generate(front, ALICE)
    generate(front, ALICE, role="another front")

    assert len({*end_users(front)}) == 1


def test_the_raw_id_is_nowhere(
    queue_deployment: "Deployment", openai: SandboxState, caplog: pytest.LogCaptureFixture, capsys: Any
) -> None:
    """Not in records, usage, messages, objects, responses or logs, before and after the job; nor at the engine."""
    trust(queue_deployment)
    settings = queue_deployment.gateway.settings
    dynamodb, s3, sqs = aws_client("dynamodb"), aws_client("s3"), aws_client("sqs")
    caplog.set_level("DEBUG")
    seen: list[str] = []

    def look() -> None:
        seen.extend(str(dynamodb.scan(TableName=table)["Items"]) for table in (settings.table, settings.usage_table))
        keys = queue_deployment.stored("")
        seen.extend(str(s3.get_object(Bucket=settings.bucket, Key=key)["Body"].read()) for key in keys)
        seen.append(queue_deployment.call("GET", "/api/v1/images/jobs").text)
        seen.append(queue_deployment.call("GET", "/api/v1/images/usage?group_by=end_user").text)

    accepted = generate(queue_deployment, ALICE, user=ALICE, safety_identifier=ALICE, headers={EMAIL: ALICE})
    look()
    messages = sqs.receive_message(QueueUrl=settings.queue_url, VisibilityTimeout=0, AttributeNames=["All"])
    queue_deployment.process_queue()
    look()
    refused = generate(queue_deployment, f"{ALICE}\x01")

    (job,) = queue_deployment.jobs()
    assert (job.status, bool(LABEL.fullmatch(job.end_user))) == ("succeeded", True)
    assert openai.record[-1].json["user"] == openai.record[-1].json["safety_identifier"] == job.end_user
    logs = "".join(f"{record.getMessage()} {vars(record)}" for record in caplog.records)
    everything = [*seen, str(messages), accepted.text, refused.text, logs, *capsys.readouterr()]
    assert job.end_user in "".join(everything)
    assert [text for text in everything if ALICE in text] == []


def test_the_configured_header_is_hidden_from_the_engine_too(front: "Deployment", openai: SandboxState) -> None:
    """As OpenAI recommends. The record of the request has the label only."""
    front.configure(IMAGE_USER_HEADER="X-OpenWebUI-User-Name")

    assert generate(front, "a", headers={"X-OpenWebUI-User-Name": ALICE}).status == 200

    assert openai.record[-1].json["user"] == label_of(front, ALICE)


def test_plain_ids_are_kept_as_they_are(front: "Deployment", openai: SandboxState) -> None:
    """If the operator says so."""
    front.configure(IMAGE_PLAIN_END_USERS=True)

    assert generate(front, user=ALICE).status == 200

    assert end_users(front) == [ALICE]
    assert openai.record[-1].json["user"] == ALICE


def test_a_job_shows_its_end_user(front: "Deployment") -> None:
    """To its owner and to administrators; a job of nobody in particular has none."""
    label = label_of(front, ALICE)
    generate(front)

    for role in ("admin", "front"):
        anonymous, named = front.call("GET", "/api/v1/images/jobs", role=role).json["jobs"]
        assert named["end_user"] == label
        assert "end_user" not in anonymous
        assert "user" not in named.get("request", {})


def test_jobs_are_listed_by_end_user(front: "Deployment") -> None:
    """By label or by id, in pages; a user sees those of its own token."""
    trust(front, "another front")
    for role, user in (("front", ALICE), ("front", "bob"), ("another front", ALICE), ("front", ALICE)):
        assert generate(front, user, role=role).status == 200
    label = front.jobs()[0].end_user

    def listed(role: str, query: str) -> list[str]:
        ids: list[str] = []
        cursor = ""
        while True:
            page = front.call("GET", f"/api/v1/images/jobs?end_user={query}{cursor}", role=role).json
            assert {job["end_user"] for job in page["jobs"]} <= {label}
            ids += [job["id"] for job in page["jobs"]]
            if "cursor" not in page:
                return ids
            cursor = f"&cursor={page['cursor']}"

    everybody = [job.id for job in front.jobs() if job.end_user == label]
    assert listed("admin", label) == listed("admin", ALICE) == listed("admin", f"{label}&limit=1") == everybody
    assert len(listed("front", label)) == len(listed("front", f"{label}&limit=1")) == 2
    assert listed("another front", ALICE) == [everybody[1]]
    assert listed("stranger", ALICE) == []
    assert listed("admin", "nobody") == []


def test_requests_of_two_end_users_are_no_repetitions(front: "Deployment") -> None:
    """Neither of each other's unmarked retries nor of each other's keys."""
    retry = {"X-Stainless-Retry-Count": "0"}, {"X-Stainless-Retry-Count": "1"}
    generate(front, ALICE, headers=retry[0])
    generate(front, "bob", headers=retry[1])
    generate(front, ALICE, headers=retry[1])

    assert len(front.jobs()) == 2
    key = {"Idempotency-Key": "k"}
    assert generate(front, ALICE, headers=key).status == 200
    assert generate(front, "bob", headers=key).status == 422


def test_trust_can_be_given_and_taken(openai_deployment: "Deployment") -> None:
    """By a change of the token; other changes leave it as it is."""
    created = openai_deployment.call("POST", TOKENS, {"name": "front", "role": "user"}).json
    openai_deployment.tokens["front"] = created["token"]
    path = f"{TOKENS}/{created['id']}"

    def change(**fields: Any) -> tuple[bool, str]:
        changed = openai_deployment.call("PATCH", path, fields)
        assert changed.status == 200, changed.text
        generate(openai_deployment, ALICE)
        return changed.json["forwards_users"], openai_deployment.jobs()[0].end_user[:3]

    assert created["forwards_users"] is False
    assert change(forwards_users=True) == (True, "eu-")
    assert change(max_jobs=10) == (True, "eu-")
    assert change(forwards_users=False) == (False, "")
    (listed,) = [each for each in openai_deployment.call("GET", TOKENS).json["tokens"] if each["id"] == created["id"]]
    assert (listed["forwards_users"], listed["max_jobs"]) == (False, 10)


def test_trust_alone_is_no_limit(front: "Deployment") -> None:
    """A token without limits has no item in the ledger, so its requests do not pay for one."""
    assert generate(front, ALICE).status == 200

    assert front.jobs()[0].periods == {}


def test_the_key_is_made_once_and_never_returned(openai_deployment: "Deployment") -> None:
    """With the first trusted token; changes of the configuration keep it."""
    before = openai_deployment.call("GET", "/api/v1/images/config").headers["etag"]
    trust(openai_deployment)
    key = run(openai_deployment.gateway.configs.read()).end_user_key
    label = label_of(openai_deployment, ALICE)
    trust(openai_deployment)
    config = openai_deployment.configure(IMAGE_SIZE="512x512")
    openai_deployment.call("PUT", "/api/v1/images/prices", {"prices": [{"model": "*", "usd_per_image": "0.05"}]})

    assert len(key) >= 43
    assert run(openai_deployment.gateway.configs.read()).end_user_key == key
    assert label_of(openai_deployment, ALICE) == label
    assert key not in json.dumps(config)
    assert key not in openai_deployment.call("GET", "/api/v1/images/config").text
    assert openai_deployment.call("GET", "/api/v1/images/config").headers["etag"] != before


def test_a_deployment_that_has_lost_its_key_refuses_end_users_until_it_has_another(
    openai_deployment: "Deployment",
) -> None:
    """As if the parameter had been deleted. Requests of other tokens go on."""
    token_id = trust(openai_deployment)
    label = label_of(openai_deployment, ALICE)
    ssm, name = aws_client("ssm"), openai_deployment.gateway.settings.config_parameter
    document = json.loads(ssm.get_parameter(Name=name, WithDecryption=True)["Parameter"]["Value"])
    del document["_end_user_key"]
    ssm.put_parameter(Name=name, Value=json.dumps(document), Type="SecureString", Overwrite=True)

    refused = generate(openai_deployment, ALICE)
    statuses = [generate(openai_deployment, role=role).status for role in ("front", "user")]
    openai_deployment.call("PATCH", f"{TOKENS}/{token_id}", {"forwards_users": True})

    assert (refused.status, refused.json["code"]) == (409, "not_configured")
    assert statuses == [200, 200]
    assert label_of(openai_deployment, ALICE) != label
