"""Pages are short enough to be read, and each is found from the index."""

import posixpath

import pytest

from tests.manual.pages import PAGES, Page

README_LINES = 200
PAGE_LINES = 320
INDEX = "docs/README.md"


def too_long(page: Page) -> bool:
    """Whether a page has more lines than it may have."""
    return len(page.text.splitlines()) > (README_LINES if page.path == "README.md" else PAGE_LINES)


def not_in_index(index: Page, paths: list[str]) -> list[str]:
    """The pages that an index does not link to."""
    folder = posixpath.dirname(index.path)
    linked = {posixpath.normpath(posixpath.join(folder, link.partition("#")[0])) for link in index.links}
    return [path for path in paths if path not in linked]


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_a_page_is_short(page: Page) -> None:
    """The README has at most 200 lines, every other page at most 320."""
    assert not too_long(page), len(page.text.splitlines())


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_a_page_has_one_title(page: Page) -> None:
    """It begins with the only heading of level one."""
    titles = [line for line in page.prose.splitlines() if line.startswith("# ")]

    assert titles == [page.text.partition("\n")[0]]


def test_the_readme_leads_to_the_index() -> None:
    """Who reads the README finds the manual."""
    assert not_in_index(Page.read("README.md"), [INDEX]) == []


def test_every_page_is_in_the_index() -> None:
    """Records of decisions are in an index of their own, which is in the manual's."""
    paths = [page.path for page in PAGES if page.path.startswith("docs/") and page.path != INDEX]
    decisions = [path for path in paths if path.startswith("docs/decisions/") and not path.endswith("/README.md")]
    pages = [path for path in paths if path not in decisions]

    assert not_in_index(Page.read(INDEX), pages) == []
    assert not_in_index(Page.read("docs/decisions/README.md"), decisions) == []


def test_a_page_that_is_too_long_is_found() -> None:
    """One line more than allowed is too many, and one less is not."""
    assert too_long(Page("README.md", "x\n" * 201))
    assert not too_long(Page("README.md", "x\n" * 200))
    assert too_long(Page("docs/example.md", "x\n" * 321))
    assert not too_long(Page("docs/example.md", "x\n" * 320))


def test_a_page_that_is_not_in_the_index_is_found() -> None:
    """Links are relative to the index, and may name a heading."""
    index = Page(INDEX, "[jobs](jobs.md#waiting), [decisions](decisions/README.md)")
    paths = ["docs/jobs.md", "docs/edits.md", "docs/decisions/README.md"]

    assert not_in_index(index, paths) == ["docs/edits.md"]
