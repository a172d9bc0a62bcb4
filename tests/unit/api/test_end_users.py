"""Who a request says that it is for, whatever it says."""

from hypothesis import given
from hypothesis import strategies as st

from image_gateway.api.end_users import EndUserHeaders, named_end_user
from image_gateway.errors import InvalidRequest
from image_gateway.models.forms import CreateImageForm

FORM = CreateImageForm(prompt="a fox")
HEADER_VALUES = st.lists(st.text(st.characters(max_codepoint=255)), max_size=2)


def outcome(headers: EndUserHeaders) -> str | InvalidRequest:
    """Return the id of the end user, or the error."""
    try:
        return named_end_user(FORM, headers)
    except InvalidRequest as error:
        return error


@given(ids=HEADER_VALUES, addresses=HEADER_VALUES)
def test_headers_name_an_end_user_or_nobody_or_are_refused(ids: list[str], addresses: list[str]) -> None:
    """An end user has an id that can be printed, without spaces around it. The error quotes none of the values."""
    headers = EndUserHeaders(x_openwebui_user_id=ids, x_openwebui_user_email=addresses)

    end_user = outcome(headers)

    if isinstance(end_user, InvalidRequest):
        assert end_user.field in headers.end_users()
        assert end_user.detail.startswith(f"{end_user.field}: must be ")
        return
    assert end_user == end_user.strip()
    assert end_user.isprintable()
    assert len(end_user) <= 512
    assert end_user or not any(value.strip() for value in ids + addresses if value.isascii())


@given(
    text=st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=100).filter(lambda t: "," not in t)
)
def test_an_id_is_the_same_in_utf_8_however_often_it_was_read_as_latin_1(text: str) -> None:
    """API Gateway, its emulation and the server may each have done that on the way."""
    names = set()
    for _ in range(3):
        names.add(named_end_user(FORM, EndUserHeaders(x_openwebui_user_id=[text])))
        text = text.encode().decode("latin-1")

    assert len(names) == 1
