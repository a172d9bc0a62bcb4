"""Detection of repeated requests."""

from typing import Any

import pytest

from image_gateway.errors import InvalidRequest
from image_gateway.jobs.idempotency import KEY_SECONDS, RETRY_SECONDS, Claim, claim_for
from image_gateway.models.forms import CreateImageForm, EditImageForm, Form

FORM = CreateImageForm(prompt="a fox")


def claim(form: Form = FORM, *, owner: str = "token:1", key: str | None = "k", retry: str | None = None) -> Claim:
    result = claim_for(owner, form, key, retry)
    assert result
    return result


def test_a_request_without_headers_has_no_claim() -> None:
    """Two equal requests are two jobs."""
    assert claim_for("token:1", FORM, None, None) is None


def test_a_claim_by_key_lasts_a_day_and_does_not_contain_the_key() -> None:
    """The item's key contains the owner, and is short enough for DynamoDB however long the caller's key is."""
    result = claim(key="\u00fc" * 255)

    assert (result.seconds, result.replaces) == (KEY_SECONDS, False)
    assert result.key.startswith("idempotency#token:1#")
    assert len(result.key) < 100


@pytest.mark.parametrize("key", ["", "x" * 256])
def test_a_key_that_is_empty_or_too_long_is_an_error(key: str) -> None:
    """The error has the name of the header."""
    with pytest.raises(InvalidRequest) as caught:
        claim(key=key)

    assert caught.value.field == "Idempotency-Key"


def test_the_same_key_of_another_owner_is_another_claim() -> None:
    """A guessed key never leads to another owner's job."""
    assert claim(owner="token:1").key != claim(owner="token:2").key


@pytest.mark.parametrize(
    ("first", "second", "is_same"),
    [
        ({"prompt": "a fox", "n": 2}, {"n": 2, "prompt": "a fox"}, True),
        ({"prompt": "a fox", "size": None}, {"prompt": "a fox"}, True),
        ({"prompt": "a fox", "zoom": 1}, {"prompt": "a fox"}, True),
        ({"prompt": "a fox"}, {"prompt": "a wolf"}, False),
        ({"prompt": "a fox", "n": 2}, {"prompt": "a fox", "n": 3}, False),
    ],
)
def test_requests_with_the_same_fields_have_the_same_hash(first: Any, second: Any, is_same: bool) -> None:
    """The order of fields, nulls and unknown fields are ignored."""
    bodies = [claim(CreateImageForm.model_validate(body)).body for body in (first, second)]

    assert (bodies[0] == bodies[1]) is is_same


def test_input_images_are_part_of_the_hash() -> None:
    """An edit of another image, with another mask or with another file is another request."""
    forms = [
        EditImageForm(prompt="a hat", image="x"),
        EditImageForm(prompt="a hat", image="y"),
        EditImageForm(prompt="a hat", image="x", mask="y"),
    ]
    with_file = claim_for("token:1", forms[0], "k", None, "a file")

    assert len({result.body for result in [*map(claim, forms), with_file] if result}) == 4


def test_forms_of_different_classes_have_different_hashes() -> None:
    """This is so even if they have the same fields."""
    assert claim(Form()).body != claim(CreateImageForm.model_construct(set(), prompt="")).body


@pytest.mark.parametrize(
    ("count", "replaces"),
    [("0", True), ("1", False), ("2", False), ("007", False), ("", True), ("-1", True), ("x", True), ("\u0662", True)],
)
def test_the_first_request_of_an_sdk_replaces_the_claim_and_its_retries_do_not(count: str, replaces: bool) -> None:
    """Two first requests with the same body are two jobs. A request with a count is a retry of the last one."""
    result = claim(key=None, retry=count)

    assert result.key == f"retry#token:1#{result.body}"
    assert (result.seconds, result.replaces) == (RETRY_SECONDS, replaces)


def test_a_retry_count_with_very_many_digits_is_a_retry() -> None:
    """Python limits the length of integers that it parses."""
    assert not claim(key=None, retry="9" * 10_000).replaces


def test_a_key_has_precedence_over_a_retry_count() -> None:
    """The caller sets the key, and the SDK the count."""
    assert claim(retry="0") == claim()


def test_the_claim_after_a_failed_job_has_the_jobs_id() -> None:
    """So only one new job can have it. After a second failure the key is not longer."""
    first = claim(key=None, retry="0")

    second = first.after("job-1")
    third = second.after("job-2")

    assert (second.key, second.replaces) == (f"{first.key}#after#job-1", False)
    assert third.key == f"{first.key}#after#job-2"
    assert third.body == first.body
