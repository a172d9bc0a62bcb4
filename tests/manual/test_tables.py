"""The manual's tables say what the code and the template say: nothing is missing, and nothing is invented."""

import re
from collections.abc import Iterator

import pytest

from image_gateway.errors import GatewayError
from image_gateway.models.config import ImagesConfig
from image_gateway.models.forms import CreateImageForm, EditImageForm
from image_gateway.models.images import ImageInfo
from sandbox.template import Template
from tests.manual.pages import PAGES, Page, Table, tables

API = Page.read("docs/api.md")


def only_table(text: str) -> Table:
    (table,) = tables(text)
    return table


def test_the_api_table_has_every_route() -> None:
    """The template's routes, no more and no fewer."""
    routes = [
        f"{route.method} {route.path.replace('+}', '}')}"
        for function in Template().functions()
        for route in function.routes
    ]

    assert sorted(only_table(API.introduction()).names()) == sorted(set(routes))


@pytest.mark.parametrize(("form", "column"), [(CreateImageForm, 1), (EditImageForm, 2)])
def test_the_request_table_has_every_field_of_the_forms(
    form: type[CreateImageForm | EditImageForm], column: int
) -> None:
    """Each field of a generation and of an edit, in the right columns."""
    table = only_table(API.section("Request fields"))
    marked = Table(table.header, [row for row in table.rows if row[column]])

    assert sorted(marked.names()) == sorted(form.model_fields)


def test_the_response_table_has_every_field_of_an_image() -> None:
    """No more and no fewer."""
    assert sorted(only_table(API.section("Response fields")).names()) == sorted(ImageInfo.model_fields)


def test_the_error_table_has_every_error() -> None:
    """Each code of the error tree with its status, and the code that only HTTP has."""

    def tree(kind: type[GatewayError]) -> Iterator[type[GatewayError]]:
        yield kind
        for child in kind.__subclasses__():
            if child.__module__ == GatewayError.__module__:
                yield from tree(child)

    page = Page.read("docs/errors.md")
    rows = [row for table in tables(page.prose) for row in table.rows if re.fullmatch(r"\d{3}", row[0])]
    documented = {(int(row[0]), code) for row in rows for code in re.findall(r"`(\w+)`", row[1])}

    assert documented == {(kind.status, kind.code) for kind in tree(GatewayError)} | {(405, "method_not_allowed")}


def test_the_deployment_table_has_every_parameter() -> None:
    """The template's parameters, no more and no fewer."""
    (table,) = [
        table for table in tables(Page.read("docs/deploying.md").prose) if "parameter" in table.header[0].lower()
    ]

    assert sorted(table.names()) == sorted(Template().document["Parameters"])


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_configuration_field_that_is_named_exists(page: Page) -> None:
    """Whole names only: those that are cut short with an ellipsis stand beside one in full."""
    prefixes = ("IMAGE_", "IMAGES_", "ENABLE_", "COMFYUI_", "AUTOMATIC1111_")
    names = {name for name in re.findall(r"[\"`{]([A-Z][A-Z0-9_]+)[\"`}]", page.text) if name.startswith(prefixes)}

    assert names <= set(ImagesConfig.model_fields)


def test_a_missing_row_and_an_invented_one_are_found() -> None:
    """Rows are read whether they name one thing or several; a row without a name in front is none."""
    text = "| name | generation | edit |\n| --- | --- | --- |\n| `a`, `b` | yes | |\n| c | | yes |\n\nNo `table`.\n"
    table = only_table(text)

    assert table.header == ["name", "generation", "edit"]
    assert table.rows == [["`a`, `b`", "yes", ""], ["c", "", "yes"]]
    assert table.names() == ["a", "b"]
