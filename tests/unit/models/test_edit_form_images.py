"""The fields `image` and `mask` of an edit's form."""

import pytest

from image_gateway.models.forms import EditImageForm
from image_gateway.models.openai import ImageEditParams


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


@pytest.mark.parametrize("form", [EditImageForm, ImageEditParams])
@pytest.mark.parametrize(
    "image",
    [
        {"image_url": "https://images.example/a.png"},
        {"image_url": {"url": "https://images.example/a.png"}},
        {"type": "image_url", "image_url": {"url": "https://images.example/a.png", "detail": "high"}},
    ],
)
def test_an_image_may_be_an_object_with_a_url(form: type[EditImageForm], image: object) -> None:
    """OpenAI's images and chat APIs have such objects; both channels read them."""
    url = "https://images.example/a.png"

    read = form.model_validate({"prompt": "night", "image": [image], "mask": image})

    assert (read.image, read.mask) == ([url], url)
    assert form.model_validate({"prompt": "night", "image": image}).image == url


@pytest.mark.parametrize("form", [EditImageForm, ImageEditParams])
@pytest.mark.parametrize(
    "image", [{}, {"image_url": {}}, {"image_url": {"url": 5}}, {"image_url": "a", "file_id": "b"}]
)
def test_another_object_is_no_image(form: type[EditImageForm], image: object) -> None:
    """The error says what an object must have."""
    with pytest.raises(ValueError, match="must have either image_url or file_id"):
        form.model_validate({"prompt": "night", "image": image})
