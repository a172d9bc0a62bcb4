"""What was spent, and what may be: Usage, the limits in Tokens, and a budget that is used up."""

import csv
import io
import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from playwright.sync_api import Locator, expect

from tests.browser.console import Console, Gateway

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
PRICE = "0.081003"


@pytest.fixture
def priced(gateway: Gateway) -> Iterator[Gateway]:
    """The sandbox, on which an image of OpenAI has a price with six decimals."""
    gateway.request("PUT", "prices", json={"prices": [{"connection": "openai", "model": "*", "usd_per_image": PRICE}]})
    yield gateway
    gateway.request("PUT", "prices", json={"prices": []})
    gateway.request("PUT", "limits", json={})


def make_token(gateway: Gateway, name: str, **fields: object) -> dict[str, str]:
    """Make a user's token, and return it with its secret."""
    made: dict[str, str] = gateway.request("POST", "tokens", json={"name": name, "role": "user", **fields})
    return made


def amounts(table: Locator) -> list[Decimal]:
    """Return the costs of a table, with their sum at the end."""
    cells = [row.locator("td").last for row in table.locator("tbody tr, tfoot tr").all()]
    return [Decimal(cell.inner_text().split()[0].replace("$", "").replace(",", "")) for cell in cells]


def test_a_used_up_budget_is_said_and_the_token_sees_its_own_usage(console: Console, priced: Gateway) -> None:
    """The second image is refused with the error's text, without a button to send it again; the money adds up."""
    console.expected.append("429 \\(Too Many Requests\\)")
    made = make_token(priced, "a thrifty one", budget={"usd": "0.10", "period": "month"})
    console.open(token=made["token"])
    page = console.page
    first = console.create("a paid fox")
    expect(first).to_contain_text("$0.08")
    second = console.create("a fox too many")
    expect(second.get_by_role("alert")).to_contain_text("The budget is used up")
    expect(second.get_by_role("alert")).to_contain_text("has 0.018997 of 0.100000 US dollars left")
    expect(second.get_by_role("alert")).to_contain_text("budget_exceeded")
    expect(second.get_by_role("button", name="Again")).to_have_count(0)
    assert len(priced.posts("openai")) == 1

    second.get_by_role("link", name="See usage").click()
    spent = page.get_by_role("region", name="Spent")
    expect(spent).to_contain_text(re.compile(r"\$0\.08\s*of \$0\.10 this month, 1 image"))
    page.get_by_text("To the millionth").click()
    expect(spent).to_contain_text("$0.018997 left until")
    expect(spent).to_contain_text(f"${PRICE}")
    servers = page.get_by_role("region", name="Servers")
    assert amounts(servers) == [Decimal(PRICE)] * 2
    expect(page.get_by_role("region", name="Tokens")).to_have_count(0)
    expect(page.get_by_role("button", name="Limit")).to_have_count(0)
    priced.request("DELETE", f"tokens/{made['id']}")


def test_usage_is_shown_by_what_is_chosen_and_downloaded_as_csv(console: Console, priced: Gateway) -> None:
    """All tables have the same sum; the file has the table's rows, as UTF-8 for spreadsheets, and no formulas."""
    made = make_token(priced, "=1+1, größer")
    for prompt in ("a counted cat", "another"):
        body = {"prompt": prompt, "size": "64x64"}
        priced.request("POST", "generations", token=made["token"], json=body)
    console.open("usage")
    page = console.page
    page.get_by_text("To the millionth").click()
    tokens, details = page.get_by_role("region", name="Tokens"), page.get_by_role("region", name="Details")
    expect(tokens.get_by_role("row", name=re.compile(r"=1\+1, größer 2 2"))).to_contain_text("$0.162006")
    page.get_by_label("Day", exact=True).uncheck()
    page.get_by_label("Token", exact=True).check()
    shown = [[cell.inner_text() for cell in row.locator("td").all()] for row in details.locator("tbody tr").all()]
    with page.expect_download() as download:
        page.get_by_role("button", name="CSV").click()

    content = Path(download.value.path()).read_bytes()
    assert content.startswith(BYTE_ORDER_MARK)
    rows = list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"))))
    names = [row["token_name"] or f"Revoked {row['token']}" for row in rows]
    assert [[name.removeprefix("'"), f"${row['usd']}"] for name, row in zip(names, rows, strict=True)] == [
        [row[0], row[-1]] for row in shown
    ]
    assert "'=1+1, größer" in names
    total = sum(Decimal(row["usd"]) for row in rows)
    tables = [amounts(tokens), amounts(page.get_by_role("region", name="Servers")), amounts(details)]
    assert [(table[-1], sum(table[:-1])) for table in tables] == [(total, total)] * 3
    expect(page.get_by_role("region", name="Spent").locator(".large")).to_have_text(f"${total:,.6f}")
    priced.request("DELETE", f"tokens/{made['id']}")

    page.get_by_label("Days").select_option("Other days")
    page.get_by_label("First day").fill("2026-01-05")
    page.get_by_label("Last day").fill("2026-01-04")
    expect(page.get_by_role("heading", name="Nothing was used on Jan 4, 2026")).to_be_visible()
    expect(page.get_by_role("link", name="Create an image")).to_be_visible()


def test_the_deployment_is_limited_in_usage(console: Console, priced: Gateway) -> None:
    """Its budget is set where it is seen; what somebody else has set meanwhile is not overwritten unseen."""
    console.open("usage")
    page = console.page
    page.get_by_role("button", name="Limit", exact=True).click()
    page.get_by_label("Budget in US dollars").fill("500")
    page.get_by_role("button", name="Add a source").click()
    page.get_by_label("Source", exact=True).fill("s3")
    page.get_by_label("US dollars", exact=True).fill("50")
    theirs = {"budget": {"usd": "100", "period": "month"}, "max_jobs": 40}
    priced.request("PUT", "limits", json=theirs)
    page.get_by_role("button", name="Save limits").click()
    conflict = page.get_by_role("alert")
    expect(conflict).to_contain_text("Somebody else has changed the limits")
    assert priced.request("GET", "limits")["budget"]["usd"] == "100.000000"
    conflict.get_by_role("button", name="Save mine instead").click()

    spent = page.get_by_role("region", name="Spent")
    expect(spent).to_contain_text("of $500.00 this month")
    expect(spent).to_contain_text("Events from s3: $50.00 a month, $50.00 left until")
    limits = priced.request("GET", "limits")
    assert (limits["budget"]["usd"], limits["max_jobs"]) == ("500.000000", None)


def test_a_token_is_limited(console: Console) -> None:
    """It is made with a budget, which is changed and removed; what the gateway does not take is said at its field."""
    console.expected.append("422|400")
    console.open("tokens")
    page = console.page
    page.get_by_role("button", name="New token").click()
    page.get_by_label("Name").fill("an intern")
    page.get_by_label("Budget in US dollars").fill("25,00")
    page.get_by_role("button", name="Make token").click()
    budget = page.get_by_label("Budget in US dollars")
    expect(budget).to_have_accessible_description(re.compile("must be an amount of US dollars"))
    budget.fill("25")
    page.get_by_role("button", name="Make token").click()
    page.get_by_role("button", name="Done").click()
    row = page.get_by_role("row", name=re.compile("an intern"))
    expect(row).to_contain_text(re.compile(r"\$25\.00 a month\s*\$25\.00 left until .* 00:00 UTC"))

    limit = page.get_by_role("button", name="Limit an intern")
    limit.click()
    expect(budget).to_have_value("25.00")
    budget.fill("0.000001")
    page.get_by_label("Period").select_option("in all")
    page.get_by_label("Jobs at once").fill("3")
    page.get_by_role("button", name="Save limits").click()
    expect(row).to_contain_text(re.compile(r"< \$0\.01 in all\s*< \$0\.01 left\s*0 of 3 jobs at once"))
    limit.click()
    budget.fill("")
    page.get_by_role("button", name="Save limits").click()
    expect(row).not_to_contain_text("in all")
    (token,) = [each for each in console.gateway.request("GET", "tokens")["tokens"] if each["name"] == "an intern"]
    assert (token["budget"], token["max_jobs"]) == (None, 3)
    console.gateway.request("DELETE", f"tokens/{token['id']}")


def test_an_end_user_is_found_and_forgotten(console: Console, priced: Gateway) -> None:
    """A token is trusted to name its end users; one has a row of usage and a label on its job, and loses both."""
    made = make_token(priced, "our chat")
    console.open("tokens")
    page = console.page
    page.get_by_role("button", name="Limit our chat").click()
    page.get_by_text("Forwards end users").click()
    page.get_by_label("Budget of each end user").fill("0.10")
    page.get_by_label("Its period").select_option("a day")
    page.get_by_role("button", name="Save limits").click()
    row = page.get_by_role("row", name=re.compile("our chat"))
    expect(row).to_contain_text("forwards end users")
    expect(row).to_contain_text("$0.10 a day for each end user")
    headers = {"Authorization": f"Bearer {made['token']}", "X-OpenWebUI-User-Id": "alice@example.com"}
    body = {"prompt": "a fox of hers", "size": "64x64"}
    url = f"{priced.url}/api/v1/images/generations"
    assert priced.http.post(url, json=body, headers=headers).status_code == 200

    page.get_by_role("link", name="Usage").click()
    table = page.get_by_role("region", name="End users")
    label = table.get_by_role("link").inner_text()
    assert label.startswith("eu-")
    table.get_by_role("link").click()
    page.get_by_role("list", name="Jobs").get_by_role("link").click()
    expect(page.get_by_role("dialog")).to_contain_text(label)
    page.keyboard.press("Escape")
    page.get_by_role("link", name="Usage").click()
    page.get_by_text("Forget one by its id").click()
    page.get_by_label("Id of the front end, or label").fill("alice@example.com")
    page.get_by_role("button", name="Forget", exact=True).click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("The label of alice@example.com is removed from all jobs")
    dialog.get_by_role("button", name="Forget", exact=True).click()

    expect(page.get_by_text("Forgotten in 1 job, 1 row of usage and 1 budget")).to_be_visible()
    expect(page.get_by_text("No end users in these days")).to_be_visible()
    assert priced.request("GET", f"jobs?end_user={label}")["jobs"] == []
    priced.request("DELETE", f"tokens/{made['id']}")
