"""No output of a whole run of the sandbox contains a secret, and prompts are only where they belong."""

import json

import anyio
import pytest

from tests.integration.leaks.leak_run import Emitted, emitted
from tests.integration.leaks.planted_values import (
    AUTH,
    BASIC,
    KEYS,
    PRESIGNED,
    PROMPT,
    SIGNATURE,
    TOKENS,
    WRONG_KEY,
)
from tests.integration.leaks.search import held

pytestmark = [pytest.mark.xdist_group("leaks"), pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Emitted:
    """One run, which all tests look at."""
    return anyio.run(emitted, tmp_path_factory.mktemp("leaks") / "log")


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
