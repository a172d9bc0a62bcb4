"""Links between pages, to headings and to files of the repository lead somewhere."""

import re
from functools import cache
from pathlib import Path

import pytest

from sandbox.template import ROOT
from tests.manual.pages import PAGES, Page


def broken_links(page: Page) -> list[str]:
    """The links of a page that lead nowhere, that leave the repository, or that this check would not see."""
    problems = [problem for link in page.links if (problem := _problem(page, link))]
    hidden = re.findall(r"^ *\[[^\]]+\]: .*$|<https?:[^>]*>|<(?:a|img) [^>]*>", page.prose, re.MULTILINE)
    return problems + [f"{page}: {link} is not written as [text](target)" for link in hidden]


def _problem(page: Page, link: str) -> str | None:
    path, _, anchor = link.partition("#")
    if re.match(r"[\w+.-]+:|/", path):
        return f"{page}: {link} leads out of the repository"
    target = (ROOT / page.path).parent / path if path else ROOT / page.path
    if not target.resolve().is_relative_to(ROOT) or not (target.exists() or not path):
        return f"{page}: no file {link}"
    anchors = page.anchors if not path else _anchors(target.resolve()) if anchor else set()
    return f"{page}: no heading {link}" if anchor and anchor not in anchors else None


@cache
def _anchors(path: Path) -> set[str]:
    return Page.read(str(path.relative_to(ROOT))).anchors if path.suffix == ".md" else set()


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_link_leads_to_a_file_and_a_heading(page: Page) -> None:
    """Files are there, headings exist by GitHub's rules, and nothing links elsewhere, where it could rot."""
    assert broken_links(page) == []


def test_the_pages_link_to_each_other() -> None:
    """The test of links has something to look at."""
    assert sum(".md#" in link for page in PAGES for link in page.links) > len(PAGES)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[x](nothing.md)", "no file nothing.md"),
        ("[x](../nothing/)", "no file ../nothing/"),
        ("![x](nothing.png)", "no file nothing.png"),
        ("[x](../../../etc/passwd)", "no file ../../../etc/passwd"),
        ("[x](#nothing)", "no heading #nothing"),
        ("# Two words\n\n[x](#two_words)", "no heading #two_words"),
        ("[x](../README.md#nothing)", "no heading ../README.md#nothing"),
        ("[x](../template.yaml#nothing)", "no heading ../template.yaml#nothing"),
        ("[x](https://example.com)", "leads out of the repository"),
        ("[x](/README.md)", "leads out of the repository"),
        ('[x](../README.md "a title")', "no file"),
        ("[x][y]\n\n[y]: ../README.md", "is not written as [text](target)"),
        ("<https://example.com>", "is not written as [text](target)"),
        ('<img src="x.png">', "is not written as [text](target)"),
    ],
)
def test_a_broken_link_is_found(text: str, problem: str) -> None:
    """Files and headings that are not there, and links of a kind that is not looked at, are reported."""
    assert any(problem in found for found in broken_links(Page("docs/example.md", text)))


def test_headings_are_addressed_as_github_does() -> None:
    """Lower case, hyphens for spaces, no punctuation, a link by its text, a number for a repeated heading."""
    headings = (
        "# One page",
        "## `ETag` and `If-Match`",
        "## Why 303, not 202?",
        "## A [link](x.md) in it",
        "## snake_case",
        "## Again",
        "### Again",
        "## Überschrift",
    )
    page = Page("docs/example.md", "\n\n".join([*headings, "```sh\n# No heading\n```", ""]))

    assert page.anchors == {
        "one-page",
        "etag-and-if-match",
        "why-303-not-202",
        "a-link-in-it",
        "snake_case",
        "again",
        "again-1",
        "überschrift",
    }


def test_links_that_lead_somewhere_pass() -> None:
    """A heading of the same page, a file, a folder, and a heading of another page."""
    title = Page.read("README.md").text.partition("\n")[0].removeprefix("# ")
    text = f"# A page\n\n[a](#a-page) [b](../template.yaml) [c](../functions/) [d](../README.md#{title})"

    assert broken_links(Page("docs/example.md", text)) == []
