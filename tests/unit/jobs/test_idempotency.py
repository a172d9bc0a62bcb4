"""Which requests are the same request."""

from typing import Any

import pytest

from image_gateway.errors import InvalidRequest
from image_gateway.jobs.idempotency import KEY_SECONDS, RETRY_SECONDS, Claim, claim_for
from image_gateway.models.forms import CreateImageForm, EditImageForm, Form

FORM = CreateImageForm(prompt="a fox")


def claim(form: Form = FORM, *, owner: str = "token:1", key: str | None = "k", retry: str | None = None) -> Claim:
    made = claim_for(owner, form, key, retry)
    assert made
    return made


def test_without_headers_every_request_is_a_new_one() -> None:
    """People who ask twice want two images."""
    assert claim_for("token:1", FORM, None, None) is None


def test_a_key_is_remembered_for_a_day_without_its_text() -> None:
    """The item's key is the owner's, and of a length that DynamoDB takes whatever the caller chose."""
    made = claim(key="\u00fc" * 255)

    assert (made.seconds, made.replaces) == (KEY_SECONDS, False)
    assert made.key.startswith("idempotency#token:1#")
    assert len(made.key) < 100


@pytest.mark.parametrize("key", ["", "x" * 256])
def test_a_key_that_is_none_is_refused(key: str) -> None:
    """422, naming the header."""
    with pytest.raises(InvalidRequest) as caught:
        claim(key=key)

    assert caught.value.field == "Idempotency-Key"


def test_keys_of_different_owners_are_apart() -> None:
    """Nobody meets somebody else's job by guessing a key."""
    assert claim(owner="token:1").key != claim(owner="token:2").key


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ({"prompt": "a fox", "n": 2}, {"n": 2, "prompt": "a fox"}, True),
        ({"prompt": "a fox", "size": None}, {"prompt": "a fox"}, True),
        ({"prompt": "a fox", "zoom": 1}, {"prompt": "a fox"}, True),
        ({"prompt": "a fox"}, {"prompt": "a wolf"}, False),
        ({"prompt": "a fox", "n": 2}, {"prompt": "a fox", "n": 3}, False),
    ],
)
def test_bodies_are_the_same_if_they_ask_for_the_same(one: Any, other: Any, same: bool) -> None:
    """Order, nulls and unknown fields change nothing."""
    bodies = [claim(CreateImageForm.model_validate(body)).body for body in (one, other)]

    assert (bodies[0] == bodies[1]) is same


def test_inputs_are_part_of_the_body() -> None:
    """An edit of another image, or with another mask, is another request."""
    forms = [
        EditImageForm(prompt="a hat", image="x"),
        EditImageForm(prompt="a hat", image="y"),
        EditImageForm(prompt="a hat", image="x", mask="y"),
    ]
    beside = claim_for("token:1", forms[0], "k", None, "a file")

    assert len({made.body for made in [*map(claim, forms), beside] if made}) == 4


def test_a_generation_and_an_edit_are_never_the_same() -> None:
    """Forms of different kinds differ even where they set nothing."""
    assert claim(Form()).body != claim(CreateImageForm.model_construct(set(), prompt="")).body


@pytest.mark.parametrize(
    ("count", "replaces"),
    [("0", True), ("1", False), ("2", False), ("007", False), ("", True), ("-1", True), ("x", True), ("\u0662", True)],
)
def test_an_sdks_first_request_takes_the_key_and_its_retry_does_not(count: str, replaces: bool) -> None:
    """Two first requests with the same body are two jobs; what comes with a count is a retry of the last one."""
    made = claim(key=None, retry=count)

    assert made.key == f"retry#token:1#{made.body}"
    assert (made.seconds, made.replaces) == (RETRY_SECONDS, replaces)


def test_an_absurd_retry_count_is_a_retry() -> None:
    """However long the number is."""
    assert not claim(key=None, retry="9" * 10_000).replaces


def test_a_key_wins_over_a_retry_count() -> None:
    """The caller knows better than its SDK."""
    assert claim(retry="0") == claim()


def test_the_claim_after_a_failed_job_is_one_that_only_one_can_have() -> None:
    """It names the failed job, and a second failure does not make the key longer."""
    first = claim(key=None, retry="0")

    second = first.after("job-1")
    third = second.after("job-2")

    assert (second.key, second.replaces) == (f"{first.key}#after#job-1", False)
    assert third.key == f"{first.key}#after#job-2"
    assert third.body == first.body
