"""Parsing of `Prefer` headers."""

import pytest

from image_gateway.api.preferences import Preferences


@pytest.mark.parametrize(
    ("headers", "respond_async", "wait"),
    [
        ([], False, None),
        ([""], False, None),
        ([" , ,"], False, None),
        (["respond-async"], True, None),
        (["Respond-Async"], True, None),
        (["respond-async=1"], True, None),
        (["wait=10"], False, 10),
        (["WAIT=10"], False, 10),
        (["wait = 10"], False, 10),
        (['wait="10"'], False, 10),
        (["wait=0"], False, 0),
        (["respond-async, wait=10"], True, 10),
        (["wait=10,respond-async"], True, 10),
        (["respond-async", "wait=10"], True, 10),
        (["wait=10; strict; x=y, respond-async"], True, 10),
        (["wait=5, wait=20"], False, 5),
        (["return=minimal, handling=lenient"], False, None),
        (['x="a, wait=3", wait=7'], False, 7),
        (['x="a\\", wait=3", respond-async'], True, None),
        (['x; y="respond-async, wait=3"'], False, None),
        (["wait"], False, None),
        (["wait="], False, None),
        (["wait=-1"], False, None),
        (["wait=1.5"], False, None),
        (["wait=soon"], False, None),
        (["wait=\u0661"], False, None),
        (["wait=" + "9" * 5_000], False, 999_999_999),
        (['x="never closed, wait=3'], False, None),
        (["no-respond-async, waiting=4"], False, None),
    ],
)
def test_prefer_headers_are_parsed(headers: list[str], respond_async: bool, wait: int | None) -> None:
    """As in RFC 7240: lists, several headers, any case, the first of a name. Malformed preferences are ignored."""
    assert Preferences.parse(headers) == Preferences(respond_async=respond_async, wait=wait)


@pytest.mark.parametrize("filling", ['"', "a=", '\\"', "a;", 'a="\\', " "])
def test_parsing_time_is_linear_in_the_length_of_a_malformed_header(filling: str) -> None:
    """No preference is found, and the text is read once. With quadratic time this header would take an hour."""
    assert Preferences.parse([filling * 200_000]) == Preferences()


@pytest.mark.parametrize("filling", [",", " ", '"', "\\", 'a="', 'a"a\\"'])
def test_parsing_time_is_linear_in_the_length_of_the_header(filling: str) -> None:
    """Text between preferences is read once. With quadratic time this header would take an hour."""
    assert Preferences.parse(["respond-async", filling * 200_000]).respond_async
