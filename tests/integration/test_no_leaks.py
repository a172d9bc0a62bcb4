"""Nothing that a whole run of the sandbox gives out holds a secret, nor a prompt where it does not belong."""

import json
from typing import Any
from urllib.parse import quote

import anyio
import httpx
import pytest

from image_gateway.api.multipart import Part
from image_gateway.aws.signing import Credentials
from image_gateway.engines.connection import Connection
from image_gateway.engines.protocol import EngineImage, EngineResult, ImageRequest, InputImage
from image_gateway.engines.response import EngineResponse
from image_gateway.engines.server import EngineServer
from image_gateway.models.config import ImagesConfig
from image_gateway.models.envelopes import ENVELOPE
from image_gateway.models.forms import CreateImageForm, EditImageForm, VerifyForm
from image_gateway.models.images import ImageInfo, JobInfo, JobProblem, Problem, Upload
from image_gateway.models.jobs import Job, JobError, JobImage
from image_gateway.models.openai import ImageEditParams, ImageGenerateParams, OpenAIImage
from image_gateway.models.tokens import NewToken
from image_gateway.worker.messages import Message
from tests.integration.planted import (
    AUTH,
    BASIC,
    ENGINE_SECRETS,
    KEYS,
    PASSWORD,
    PRESIGNED,
    PROMPT,
    SIGNATURE,
    TOKENS,
    USER_TOKEN,
    USERNAME,
    WRONG_KEY,
    Emitted,
    emitted,
)

pytestmark = [pytest.mark.xdist_group("leaks"), pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Emitted:
    """One run, which all tests look at."""
    return anyio.run(emitted, tmp_path_factory.mktemp("leaks") / "log")


def held(text: str, *planted: str) -> set[str]:
    """Which of what was planted a text holds, as it is or as JSON, Python or a URL spells it."""
    return {one for one in planted if any(spelled in text for spelled in _spellings(one))}


def _spellings(planted: str) -> set[str]:
    once = json.dumps(planted)[1:-1]
    return {planted, once, json.dumps(once)[1:-1], repr(planted)[1:-1], quote(planted), quote(planted, safe="")}


def test_what_was_planted_was_used(run: Emitted) -> None:
    """The engines got keys and prompts, the configuration is stored, and requests of all kinds came to their ends."""
    channels = {event["detail"]["channel"] for event in run.events}
    ends = {event["detail-type"] for event in run.events}

    assert held(run.requested, *KEYS.values(), BASIC, PROMPT) == {*KEYS.values(), BASIC, PROMPT}
    assert held(run.parameter, *KEYS.values(), AUTH["password"]) == {*KEYS.values(), AUTH["password"]}
    assert channels == {"images", "sqs", "eventbridge", "s3"}
    assert ends == {"Image Job Succeeded", "Image Job Failed"}
    assert run.minted.startswith("igw_")
    assert run.log.count('"message": "job"') >= 20
    assert {text[:3] for text in run.to_owner.values()} == {"200", "201", "400", "422", "502"}
    assert {text[:3] for text in run.to_others.values()} == {"200", "401", "404"}
    assert len(run.dead_letters) == 2


def test_logs_hold_neither(run: Emitted) -> None:
    """What functions write to standard output and error is free of secrets and prompts."""
    assert held(run.log, *run.secrets, PROMPT, PRESIGNED, "X-Amz-Signature") == set()


def test_answers_hold_no_secret(run: Emitted) -> None:
    """No answer, its headers included, repeats a key or a link's signature, also where an engine did.

    Of tokens, only a new one is shown, once.
    """
    answers = {**run.to_owner, **run.to_others}

    assert {what: found for what, text in answers.items() if (found := held(text, *run.secrets))} == {
        "a token made": {run.minted}
    }


def test_prompts_are_for_who_asked(run: Emitted) -> None:
    """Nobody but the owner is answered a prompt: neither strangers nor an administrator who lists everybody's jobs."""
    others = {what: text for what, text in run.to_others.items() if PROMPT in text}

    assert others == {}
    assert PROMPT in run.to_owner["one's jobs"]


def test_events_hold_neither(run: Emitted) -> None:
    """What the account is told of jobs is free of secrets, prompts and URLs."""
    assert held(json.dumps(run.events), *run.secrets, PROMPT, "http://", "https://") == set()


def test_dead_letters_keep_only_what_was_sent(run: Emitted) -> None:
    """The reason why a message was given up quotes nothing of it; the body is the sender's own."""
    for letter in run.dead_letters:
        reason = {name: value for name, value in letter.items() if name != "body"}
        assert held(json.dumps(reason), *run.secrets, PROMPT) == set()
        assert PROMPT in letter["body"]


def test_the_table_holds_no_secret(run: Emitted) -> None:
    """Items hold tokens as hashes only, and of jobs what was asked for and said, without a secret."""
    assert len(run.table) >= 40
    assert held(json.dumps(run.table, default=str), *run.secrets) == set()


def test_prompts_lie_only_where_requests_do(run: Emitted) -> None:
    """In the table a prompt is part of the job; keys and indexed attributes have none."""
    around = [{name: value for name, value in item.items() if name != "job"} for item in run.table]

    assert held(json.dumps(around, default=str), PROMPT) == set()


def test_the_bucket_holds_no_secret(run: Emitted) -> None:
    """Objects hold no key or token; what callers sent themselves lies where requests and dead letters do."""
    found = {key: held(f"{key} {text}", *run.secrets) for key, text in run.objects.items()}
    sent = {key: secrets for key, secrets in found.items() if secrets}

    assert all(key.startswith(("inputs/", "requests/", "dead-letters/")) for key in sent), sent
    assert set().union(*sent.values()) <= {SIGNATURE, WRONG_KEY}


def test_prompts_lie_only_in_requests_and_images(run: Emitted) -> None:
    """Objects hold prompts where requests are kept, where engines write them into their images, and in results."""
    holding = {key.partition("/")[0] for key, text in run.objects.items() if PROMPT in text}

    assert holding <= {"requests", "inputs", "dead-letters", "images", "results"}
    assert {key.partition("/")[0] for key in run.objects} >= {"config", "images", "requests", "results"}


def test_keys_and_metadata_hold_neither(run: Emitted) -> None:
    """What S3 tells of objects to those who may list them is free of secrets and prompts."""
    assert held(json.dumps(run.metadata), *run.secrets, PROMPT) == set()
    assert "gpt-image-2" in json.dumps(run.metadata)


def test_results_of_files_quote_engines_only(run: Emitted) -> None:
    """The results of a request file, which are its sender's, hold engines' words, but no secret, link or bad line."""
    (text,) = [text for key, text in run.objects.items() if key.startswith("results/")]
    lines = json.loads(text)["lines"]

    assert held(text, *run.secrets, "http://", "https://") == set()
    assert {line["status"] for line in lines} == {"succeeded", "failed", "invalid"}
    assert [line["line"] for line in lines if PROMPT in json.dumps(line)] == [2]
    assert lines[1]["error"]["detail"] == f"openai answered 400: *** may not draw {PROMPT}"


def test_secrets_lie_only_in_parameter_store(run: Emitted) -> None:
    """Tokens do not even lie there: what is stored is the engines' secrets as they are configured."""
    assert held(run.parameter, *TOKENS, run.minted, WRONG_KEY, PROMPT) == set()


FORM: dict[str, Any] = {"prompt": f"{PROMPT} in a repr", "negative_prompt": f"{PROMPT} not"}
CONFIG = {
    "IMAGES_OPENAI_API_KEY": KEYS["openai"],
    "IMAGES_EDIT_OPENAI_API_KEY": KEYS["openai"],
    "IMAGES_GEMINI_API_KEY": KEYS["gemini"],
    "IMAGES_EDIT_GEMINI_API_KEY": KEYS["gemini"],
    "COMFYUI_API_KEY": KEYS["comfyui"],
    "IMAGES_EDIT_COMFYUI_API_KEY": KEYS["comfyui"],
    "AUTOMATIC1111_API_AUTH": AUTH,
}


SAID = f"openai said {PROMPT}"
JOB = Job(
    id="1",
    kind="generation",
    owner="event:sqs",
    request=FORM,
    warnings=[SAID],
    error=JobError(status=400, code="engine_rejected", title="Refused", detail=SAID),
    images=[JobImage(key="images/1/0.png", content_type="image/png", revised_prompt=PROMPT)],
)
IMAGE = ImageInfo(
    url=PRESIGNED,
    id="1-0",
    name="1-0.png",
    content_type="image/png",
    expires_at=JOB.created_at,
    revised_prompt=PROMPT,
    warnings=[SAID],
)


async def no_fetch(_url: str) -> bytes:
    return b""


CONNECTION = Connection(
    httpx.AsyncClient(transport=httpx.MockTransport(lambda _: httpx.Response(200))),
    no_fetch,
    timeout=1,
    secrets=tuple(KEYS.values()),
)


@pytest.mark.parametrize(
    "model",
    [
        ImagesConfig.model_validate(CONFIG),
        VerifyForm(engine="openai", key=KEYS["openai"]),
        CreateImageForm.model_validate(FORM),
        EditImageForm.model_validate({**FORM, "image": PRESIGNED, "mask": PRESIGNED}),
        ImageGenerateParams.model_validate(FORM),
        ImageEditParams.model_validate({**FORM, "image": PRESIGNED, "mask": PRESIGNED}),
        ENVELOPE.validate_python({"kind": "generation", "request": FORM}),
        ENVELOPE.validate_python({"kind": "edit", "request": {**FORM, "image": PRESIGNED}}),
        JOB,
        IMAGE,
        JobInfo(
            id="1",
            kind="generation",
            status="failed",
            created_at=JOB.created_at,
            attempts=1,
            request=FORM,
            images=[IMAGE],
            warnings=[SAID],
            error=JobProblem(code="engine_rejected", title="Refused", status=400, detail=SAID),
        ),
        Upload(id="1", url="https://bucket.example", fields={"signature": SIGNATURE}, expires_at=JOB.created_at),
        Problem(title="Refused", status=400, detail=SAID, code="invalid_request", request_id="1", errors=[{"a": SAID}]),
        OpenAIImage(url=PRESIGNED, revised_prompt=PROMPT),
        ImageRequest(job_id="1", images=(InputImage(PROMPT.encode(), "image/png", 1, 1),), **FORM),
        EngineResult(images=[EngineImage(PROMPT.encode(), revised_prompt=PROMPT)], warnings=[SAID]),
        Message("1", json.dumps({"request": FORM}), JOB.created_at),
        Part("prompt", PROMPT.encode(), is_file=False),
        EngineResponse(400, "Bad Request", httpx.Headers(), SAID.encode(), {"mark": PROMPT.encode()}),
        NewToken(
            id="1",
            name="stranger",
            role="user",
            created_at=JOB.created_at,
            expires_at=None,
            last_used_at=None,
            engines=None,
            models=None,
            token=USER_TOKEN,
        ),
        Credentials("AKIA", WRONG_KEY, SIGNATURE),
        CONNECTION,
        EngineServer(
            CONNECTION,
            "engine",
            "http://engine.example",
            headers={"authorization": KEYS["openai"]},
            params={"key": KEYS["gemini"]},
            auth=(USERNAME, PASSWORD),
        ),
    ],
    ids=lambda model: type(model).__name__,
)
def test_representations_hold_neither(model: object) -> None:
    """What a traceback or a careless log line would show of a model has no secret, link or prompt in it."""
    for shown in (repr(model), str(model), f"{[model]}"):
        assert held(shown, *ENGINE_SECRETS, *TOKENS, SIGNATURE, PROMPT) == set()
