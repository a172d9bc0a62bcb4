"""The fields `image` and `mask` of an edit's form."""

import pytest

from image_gateway.models.forms import EditImageForm


def test_an_edit_has_one_image_or_several() -> None:
    """Clients also send nulls, which count as absent. The `repr` shows no image."""
    form = EditImageForm.model_validate(
        {"image": "a", "prompt": "night", "n": None, "mask": None, "background": "auto"}
    )
    assert (form.image, form.n) == ("a", None)
    assert form.requested().keys() == {"image", "prompt", "background"}
    assert EditImageForm(image=["a", "b"], prompt="night").image == ["a", "b"]
    assert "iVBOR" not in repr(EditImageForm(image="iVBOR", prompt="night", mask="iVBOR"))


@pytest.mark.parametrize("image", [[], ["a"] * 17])
def test_an_edit_with_no_image_or_over_sixteen_does_not_validate(image: list[str]) -> None:
    """The message contains the limits."""
    with pytest.raises(ValueError, match="list of 1 to 16"):
        EditImageForm(image=image, prompt="night")
