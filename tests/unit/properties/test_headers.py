"""Headers and forms: any input gives a value or the documented error, and written values are read back."""

import contextlib
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from image_gateway.api import format_warnings
from image_gateway.api.multipart import Part, read_form
from image_gateway.api.preconditions import versions
from image_gateway.api.preferences import Preferences
from image_gateway.errors import InvalidRequest, PreconditionFailed
from image_gateway.jobs.idempotency import RETRY_SECONDS, claim_for
from image_gateway.models.forms import CreateImageForm
from tests.unit.properties.strategies import ANY_TEXT, HEADER


@given(st.lists(HEADER, max_size=3))
def test_any_prefer_header_is_accepted(headers: list[str]) -> None:
    """Malformed preferences are ignored, and a wait is never negative."""
    preferences = Preferences.parse(headers)
    assert preferences.wait is None or 0 <= preferences.wait < 10**9


@given(
    wait=st.integers(0, 10**9 - 1),
    respond_async=st.booleans(),
    quoted=st.booleans(),
    others=st.lists(
        st.sampled_from(["", " ", "handling=lenient", 'x="a, wait=1; \\""', "return=minimal; a=b"]), max_size=3
    ),
)
def test_preferences_are_found_between_others(
    wait: int, *, respond_async: bool, quoted: bool, others: list[str]
) -> None:
    """`wait` and `respond-async` are found between other preferences, in one header or in several."""
    known = [f'Wait="{wait}"' if quoted else f"wait = {wait}", *(["respond-async"] if respond_async else [])]
    expected = Preferences(respond_async=respond_async, wait=wait)

    assert Preferences.parse([*others, *known]) == expected
    assert Preferences.parse([", ".join([*others, *known])]) == expected


@given(st.frozensets(st.integers(0, 10**18 - 1), min_size=1, max_size=4))
def test_versions_are_read_back_from_etags(tags: frozenset[int]) -> None:
    """`If-Match` with the ETags of versions gives these versions."""
    assert versions(", ".join(f'"{tag}"' for tag in tags)) == tags


@given(HEADER)
@example("9" * 5_000)
def test_any_if_match_header_gives_versions_or_a_412(header: str) -> None:
    """A header without versions is a failed precondition, so that no update is made by mistake."""
    with contextlib.suppress(PreconditionFailed):
        tags = versions(header)
        assert tags is None or all(tag >= 0 for tag in tags)
        assert (tags is None) == (header.strip() == "*")


@given(key=st.none() | HEADER, count=st.none() | HEADER | st.integers().map(str))
@example(key=None, count="9" * 5_000)
def test_any_idempotency_header_gives_a_claim_or_is_refused(key: str | None, count: str | None) -> None:
    """Headers give no claim, the same claim for the same request, or an error that names the header."""
    form = CreateImageForm(prompt="a fox")
    if key == "":
        with pytest.raises(InvalidRequest, match="Idempotency-Key"):
            claim_for("token:1", form, key, count)
        return
    claim = claim_for("token:1", form, key, count)
    assert claim == claim_for("token:1", form, key, count)
    assert (claim is None) == (key is None and count is None)
    if claim and key is None:
        assert claim.seconds == RETRY_SECONDS
        assert claim.replaces == (not re.fullmatch("0*[1-9][0-9]*", count or ""))


@given(st.lists(ANY_TEXT | st.text(max_size=600), max_size=30))
def test_any_warnings_give_a_valid_header(warnings: list[str]) -> None:
    """Warnings with any error text become strings of RFC 8941, which every HTTP client accepts."""
    header = format_warnings(warnings)
    assert len(header) < 4_000
    assert re.fullmatch(r'("([\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*"(, |$))*', header)


@given(content_type=HEADER | st.builds("multipart/form-data; boundary{}".format, HEADER), body=st.binary(max_size=200))
@example(content_type=f"multipart/form-data; boundary*{'9' * 5_000}=x", body=b"")
@example(
    content_type="multipart/form-data; boundary=x", body=b"--x\r\nA: b; name*%s=y\r\n\r\n\r\n--x--" % (b"9" * 5_000)
)
def test_any_body_is_a_form_or_is_refused(content_type: str, body: bytes) -> None:
    """Any body with any content type is a form, or is `invalid_request`."""
    with contextlib.suppress(InvalidRequest):
        assert all(isinstance(part, Part) for part in read_form(content_type, body))


@given(
    disposition=HEADER | st.builds('form-data; name="{}"; {}'.format, HEADER, HEADER),
    data=st.binary(max_size=60).filter(lambda data: b"--x" not in data),
)
@example(disposition=f"form-data; name*{'9' * 5_000}=y", data=b"")
def test_any_part_is_read_or_is_refused(disposition: str, data: bytes) -> None:
    """A part without a readable name is refused; the content of other parts is unchanged."""
    body = b"--x\r\nContent-Disposition: %s\r\n\r\n%s\r\n--x--\r\n" % (disposition.encode(), data)
    with contextlib.suppress(InvalidRequest):
        (part,) = read_form("multipart/form-data; boundary=x", body)
        assert part.data == data
