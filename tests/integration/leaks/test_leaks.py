"""No output of a whole run of the sandbox contains a secret, and prompts are only where they belong."""

import json

import anyio
import pytest

from tests.integration.leaks.leak_run import RunOutput, run_and_collect
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
from tests.integration.leaks.search import find_planted

pytestmark = [pytest.mark.xdist_group("leaks"), pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunOutput:
    """One run of the sandbox, which all tests check."""
    return anyio.run(run_and_collect, tmp_path_factory.mktemp("leaks") / "log")


def test_the_planted_values_were_used(run: RunOutput) -> None:
    """Engines received keys and prompts, the configuration is stored, and requests of all kinds were processed."""
    channels = {event["detail"]["channel"] for event in run.events}
    ends = {event["detail-type"] for event in run.events}

    assert find_planted(run.requested, *KEYS.values(), BASIC, PROMPT) == {*KEYS.values(), BASIC, PROMPT}
    assert find_planted(run.parameter, *KEYS.values(), AUTH["password"]) == {*KEYS.values(), AUTH["password"]}
    assert channels == {"images", "sqs", "eventbridge", "s3"}
    assert ends == {"Image Job Succeeded", "Image Job Failed"}
    assert run.created_token.startswith("igw_")
    assert run.log.count('"message": "job"') >= 20
    assert {text[:3] for text in run.to_owner.values()} == {"200", "201", "204", "400", "422", "502"}
    assert {text[:3] for text in run.to_others.values()} == {"200", "401", "404"}
    assert len(run.dead_letters) == 2


def test_logs_contain_no_secret_and_no_prompt(run: RunOutput) -> None:
    """The functions' standard output and error are checked."""
    assert find_planted(run.log, *run.secrets, PROMPT, PRESIGNED, "X-Amz-Signature") == set()


def test_responses_contain_no_secret(run: RunOutput) -> None:
    """No response or header repeats a key or a link's signature, even if an engine did; a new token is shown once."""
    responses = {**run.to_owner, **run.to_others}

    assert {what: found for what, text in responses.items() if (found := find_planted(text, *run.secrets))} == {
        "a created token": {run.created_token}
    }


def test_prompts_are_returned_to_their_owner_only(run: RunOutput) -> None:
    """Neither another user nor an administrator who lists all jobs receives one."""
    others = {what: text for what, text in run.to_others.items() if PROMPT in text}

    assert others == {}
    assert PROMPT in run.to_owner["own jobs"]


def test_events_contain_no_secret_prompt_or_url(run: RunOutput) -> None:
    """Events about jobs are checked."""
    assert find_planted(json.dumps(run.events), *run.secrets, PROMPT, "http://", "https://") == set()


def test_a_dead_letters_reason_does_not_quote_the_message(run: RunOutput) -> None:
    """Only its body has the message, which is the sender's own."""
    for letter in run.dead_letters:
        reason = {name: value for name, value in letter.items() if name != "body"}
        assert find_planted(json.dumps(reason), *run.secrets, PROMPT) == set()
        assert PROMPT in letter["body"]


def test_the_table_contains_no_secret(run: RunOutput) -> None:
    """Tokens are stored as hashes; jobs contain requests and errors without secrets."""
    assert len(run.table) >= 40
    assert find_planted(json.dumps(run.table, default=str), *run.secrets) == set()


def test_prompts_in_the_table_are_only_in_jobs(run: RunOutput) -> None:
    """Keys and indexed attributes contain none."""
    around = [{name: value for name, value in item.items() if name != "job"} for item in run.table]

    assert find_planted(json.dumps(around, default=str), PROMPT) == set()


def test_the_bucket_contains_no_secret_of_the_gateway(run: RunOutput) -> None:
    """Only secrets that callers sent themselves are in stored requests and dead letters."""
    found = {key: find_planted(f"{key} {text}", *run.secrets) for key, text in run.objects.items()}
    sent = {key: secrets for key, secrets in found.items() if secrets}

    assert all(key.startswith(("inputs/", "requests/", "dead-letters/")) for key in sent), sent
    assert set().union(*sent.values()) <= {SIGNATURE, WRONG_KEY}


def test_prompts_in_the_bucket_are_only_in_requests_images_and_results(run: RunOutput) -> None:
    """Engines write prompts into their images; requests, inputs and dead letters contain them, too."""
    holding = {key.partition("/")[0] for key, text in run.objects.items() if PROMPT in text}

    assert holding <= {"requests", "inputs", "dead-letters", "images", "results"}
    assert {key.partition("/")[0] for key in run.objects} >= {"config", "images", "requests", "results"}


def test_object_keys_and_metadata_contain_no_secret_and_no_prompt(run: RunOutput) -> None:
    """Whoever may list the bucket sees them."""
    assert find_planted(json.dumps(run.metadata), *run.secrets, PROMPT) == set()
    assert "gpt-image-2" in json.dumps(run.metadata)


def test_results_of_request_files_contain_no_secret_link_or_invalid_line(run: RunOutput) -> None:
    """They contain the engine's error text."""
    (text,) = [text for key, text in run.objects.items() if key.startswith("results/")]
    lines = json.loads(text)["lines"]

    assert find_planted(text, *run.secrets, "http://", "https://") == set()
    assert {line["status"] for line in lines} == {"succeeded", "failed", "invalid"}
    assert [line["line"] for line in lines if PROMPT in json.dumps(line)] == [2]
    assert lines[1]["error"]["detail"] == f"openai answered 400: *** may not draw {PROMPT}"


def test_parameter_store_contains_only_the_engines_secrets(run: RunOutput) -> None:
    """It contains no token."""
    assert find_planted(run.parameter, *TOKENS, run.created_token, WRONG_KEY, PROMPT) == set()
