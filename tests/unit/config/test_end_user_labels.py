"""Labels of end users."""

import pytest

from image_gateway.config.end_users import EndUserLabels
from image_gateway.errors import NotConfigured
from image_gateway.models.end_users import LABEL

KEY = "planted-key"
ODD_IDS = ("deployment", "token:019d2f63-5a1c-7b7e-9d1e-3f6a0c8e2b41", "a/b#c", "Zoë", "\ud800", "x" * 512, " ")


@pytest.mark.parametrize("end_user", ODD_IDS)
def test_a_label_has_its_form_whatever_it_stands_for(end_user: str) -> None:
    """So that an end user whose id is the name of something else is not taken for it."""
    assert LABEL.fullmatch(EndUserLabels(KEY, plain=False).label(end_user))


def test_a_label_depends_on_the_id_and_on_the_key() -> None:
    """The same in every process; other deployments have other labels."""
    label = EndUserLabels(KEY, plain=False).label("alice@example.com")

    assert label == EndUserLabels(KEY, plain=False).label("alice@example.com")
    assert label != EndUserLabels(KEY, plain=False).label("Alice@example.com")
    assert label != EndUserLabels("another key", plain=False).label("alice@example.com")


def test_a_plain_id_is_its_own_label() -> None:
    """Without any key."""
    assert EndUserLabels("", plain=True).label("alice@example.com") == "alice@example.com"


@pytest.mark.parametrize("end_user", ["x" * 257, "é" * 43, f"eu-{'0' * 32}"])
def test_some_ids_are_never_plain(end_user: str) -> None:
    """Those that are too long for the tables' keys, and those that look like the label of somebody else."""
    label = EndUserLabels(KEY, plain=True).label(end_user)

    assert LABEL.fullmatch(label)
    assert label != end_user


@pytest.mark.parametrize("plain", [True, False])
def test_what_a_client_says_about_its_user_is_hidden_unless_it_is_plain(plain: bool) -> None:
    """For the record of the request, and for engines."""
    labels = EndUserLabels(KEY, plain=plain)

    assert labels.hidden(" alice ") == (" alice " if plain else labels.label("alice"))


def test_without_a_key_nothing_is_stored_instead() -> None:
    """A deployment that has lost its key refuses such requests."""
    with pytest.raises(NotConfigured):
        EndUserLabels("", plain=False).label("alice")


def test_an_administrator_may_name_a_label_or_an_id() -> None:
    """The current label comes first; before a change of the configuration there was another one."""
    labels, plain = (EndUserLabels(KEY, plain=plain) for plain in (False, True))
    label = labels.label("alice")

    assert labels.meant(label) == plain.meant(label) == (label,)
    assert labels.meant("alice") == (label, "alice")
    assert plain.meant("alice") == ("alice", label)
    assert EndUserLabels("", plain=True).meant("alice") == EndUserLabels("", plain=False).meant("alice") == ("alice",)
    assert len(labels.meant("x" * 300)) == len(plain.meant("x" * 300)) == 1
