"""Records of decisions are numbered without gaps, have the same headings, and are in their index."""

import re

import pytest

from tests.manual.pages import PAGES, Page, tables

HEADINGS = ["Context", "Decision", "Consequences", "When to look again"]
RECORDS = [page for page in PAGES if re.fullmatch(r"docs/decisions/\d{4}-[a-z0-9-]+\.md", page.path)]


def record_problems(page: Page) -> list[str]:
    """What is wrong with a record: its title's number, or its headings."""
    number = page.path.rpartition("/")[2][:4]
    title = page.text.partition("\n")[0]
    problems = [] if title.startswith(f"# {number}: ") else [f"{title} does not begin with {number}"]
    headings = re.findall(r"^## (.+)$", page.prose, re.MULTILINE)
    return problems + ([] if headings == HEADINGS else [f"the headings are {headings}"])


@pytest.mark.parametrize("page", RECORDS, ids=str)
def test_a_record_has_the_four_headings(page: Page) -> None:
    """Context, decision, consequences, and when to look again, under a title with the record's number."""
    assert record_problems(page) == []


def test_records_are_numbered_and_listed_in_their_order() -> None:
    """Every file of the folder is a record or the index, whose rows are the records."""
    index = Page.read("docs/decisions/README.md")
    names = [page.path.rpartition("/")[2] for page in RECORDS]
    (table,) = tables(index.prose)

    assert [int(name[:4]) for name in names] == list(range(1, len(names) + 1))
    assert [row[0] for row in table.rows] == [f"[{name[:4]}]({name})" for name in names]
    assert len(names) + 1 == sum(page.path.startswith("docs/decisions/") for page in PAGES)


def test_a_record_that_lacks_a_heading_is_found() -> None:
    """A wrong number and a missing heading are reported."""
    text = "# 0002: A title\n\n## Context\n\n## Decision\n\n## Consequences\n"

    assert len(record_problems(Page("docs/decisions/0001-a-title.md", text))) == 2
