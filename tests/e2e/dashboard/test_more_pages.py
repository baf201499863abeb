from __future__ import annotations

import csv
import io
import re

import pytest
from playwright.async_api import Browser, expect

from keeper_grpc.client import KeeperClient
from tests.e2e.dashboard.browsing import (
    MISSING,
    PHONE,
    Dashboard,
    chromium,
    opened,
    overflow,
    serious,
)
from tests.e2e.dashboard.network import ACTIONS, Network
from tests.e2e.waiting import SOON

if chromium() is None:
    pytest.skip(MISSING, allow_module_level=True)

expect.set_options(timeout=1000 * SOON)

DESK = {"width": 1280, "height": 900}
NOT_THERE = re.compile(r"status of 404")


async def test_all_patterns_are_searched_ordered_and_shared_by_their_address(
    browser: Browser, served: Dashboard
) -> None:
    """From the overview to the list; a form narrows it, and its address shows the same to somebody else."""
    async with opened(browser, served.url) as page:
        await page.get_by_role("link", name="See all patterns").click()
        await expect(page.get_by_role("heading", level=1)).to_have_text("All patterns")
        table = page.get_by_role("table", name="All patterns")
        for action in ACTIONS:
            await expect(table).to_contain_text(action)
        await page.get_by_role("searchbox", name="Search").fill("hot STONE")
        await page.get_by_role("combobox", name="Order").select_option("cases")
        await page.get_by_role("button", name="Apply").click()
        await expect(table.locator("tbody tr")).to_have_count(1)
        await expect(table).to_contain_text("hot stone upgrade")
        await expect(page.get_by_text("1 to 1 of 1")).to_be_visible()
        await expect(page.get_by_role("combobox", name="Order")).to_have_value("cases")
        assert "search=hot+STONE" in page.url
        address = page.url
    async with opened(browser, address, viewport=PHONE, color_scheme="dark") as page:
        await expect(page.get_by_role("searchbox", name="Search")).to_have_value("hot STONE")
        assert await serious(page) == []
        assert await overflow(page) <= 0
        await page.get_by_role("link", name="hot stone upgrade").click()
        await expect(page.get_by_role("heading", level=1)).to_contain_text("hot stone upgrade")
    async with opened(browser, f"{served.url}patterns?search=xylophone") as page:
        await expect(page.locator(".counted")).to_have_text("No pattern matches.")


async def test_the_list_is_saved_as_csv(browser: Browser, served: Dashboard) -> None:
    """The same filters, a line for each pattern, with its numbers."""
    async with opened(browser, f"{served.url}patterns?search=stone") as page:
        link = page.get_by_role("link", name="Save the list as CSV")
        async with page.expect_download() as started:
            await link.click()
        path = await (await started.value).path()
        rows = list(csv.DictReader(io.StringIO(path.read_text())))
    (row,) = rows
    assert row["action"] == ACTIONS[2]
    assert (row["occurrence_count"], row["success_count"], row["account_count"]) == ("4", "3", "4")
    assert (row["success_rate"], row["state"]) == ("0.75", "active")


async def test_what_emerges_has_a_page_for_all_and_one_for_each(
    browser: Browser, served: Dashboard
) -> None:
    """A row opens; what does not emerge any more is said so."""
    async with opened(browser, f"{served.url}emerging", viewport=PHONE) as page:
        row = page.get_by_role("table", name="Emerging patterns").get_by_role("link").first
        await expect(row).to_be_visible()
        name = await row.inner_text()
        assert await serious(page) == []
        await row.click()
        await expect(page.get_by_role("heading", level=1)).to_have_text(name)
        seen = page.get_by_role("region", name="What is seen")
        await expect(seen).to_contain_text("Novelty")
        assert await serious(page) == []
        assert await overflow(page) <= 0
        await page.get_by_role("link", name="All that is emerging").click()
        await expect(page.get_by_role("heading", level=1)).to_have_text("All that is emerging")
    async with opened(browser, f"{served.url}emerging/none-of-them") as page:
        await expect(page.get_by_role("heading", level=1)).to_have_text(
            "Nothing of this is emerging now"
        )


async def test_an_insight_is_tried_without_a_trace(
    browser: Browser, served: Dashboard, network: Network
) -> None:
    """Each step is shown: what is masked, what is found, what is answered; the address keeps nothing of it."""
    async with opened(browser, f"{served.url}try") as page, KeeperClient(network.address) as keeper:
        before = await keeper.network_metrics()
        await page.get_by_label("Conditions").fill("days_since_visit: 60")
        await page.get_by_label("Action, if one is planned").fill(f"{ACTIONS[0]} for Ottoline")
        await page.get_by_label("Names of customers in it").fill("Ottoline")
        await page.get_by_role("button", name="Show what the network would say").click()
        steps = page.locator(".steps")
        await expect(steps).to_contain_text("Masked: 1")
        await expect(steps).not_to_contain_text("Ottoline")
        found = page.get_by_role("table", name="Patterns that were considered")
        await expect(found).to_contain_text(ACTIONS[0])
        await expect(found).to_contain_text("at least")
        await expect(steps.locator("li").last).to_contain_text("Answered")
        assert await serious(page) == []
        assert page.url == f"{served.url}try"
        after = await keeper.network_metrics()
        assert list(after.days) == list(before.days)

        await page.get_by_label("Conditions").fill("x" * 70 + ": 1")
        await page.get_by_role("button", name="Show what the network would say").click()
        await expect(page.get_by_role("alert")).to_contain_text("insight.conditions")
        await expect(steps).to_be_hidden()


async def test_an_address_of_nothing_has_a_page_that_leads_on(
    browser: Browser, served: Dashboard
) -> None:
    """Status 404, in words, with links; nothing of the address is repeated."""
    profile = await browser.new_context()
    page = await profile.new_page()
    answer = await page.goto(f"{served.url}no-such-page")
    assert answer is not None
    assert answer.status == 404
    await expect(page.get_by_role("heading", level=1)).to_have_text("There is no such page")
    await expect(page.locator("body")).not_to_contain_text("no-such-page")
    assert await serious(page) == []
    await page.get_by_role("link", name="All patterns").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("All patterns")
    await profile.close()


async def test_sections_begin_folded_on_a_phone_and_open_on_a_desk(
    browser: Browser, served: Dashboard
) -> None:
    """The first two are open: the page is a few screens long. What is unfolded stays so when numbers change."""
    async with opened(browser, served.url, viewport=PHONE) as page:
        folds = page.locator("details.fold")
        await expect(page.locator("details.fold[open]")).to_have_count(2)
        assert await folds.count() > 4
        height = await page.evaluate("document.documentElement.scrollHeight")
        assert height < 4 * PHONE["height"]
        await page.get_by_text("Targets", exact=True).click()
        await expect(page.locator(".tile").first).to_be_visible()
    async with opened(browser, served.url, viewport=DESK) as page:
        await expect(page.locator("details.fold:not([open])")).to_have_count(0)


async def test_one_account_sees_what_the_network_is_worth_to_it(
    browser: Browser, served: Dashboard
) -> None:
    """What it was told and gave, on a phone too; neither account nor token is in the address."""
    async with opened(browser, f"{served.url}account", viewport=PHONE) as page:
        assert await serious(page) == []
        await page.get_by_label("Account", exact=True).fill("spa-spa-1")
        await page.get_by_label("Token").fill("not-needed-here")
        await page.get_by_role("button", name="Show").click()
        given = page.get_by_role("region", name="What it gave to others")
        await expect(given).to_contain_text("it has evidence in")
        await expect(given).to_contain_text("outcomes in the window")
        await expect(page.get_by_role("region", name="What advice brought")).to_contain_text(
            "Not measured"
        )
        await expect(page.get_by_role("region", name="Others of its kind")).to_contain_text(
            "Too few others"
        )
        assert await serious(page) == []
        assert await overflow(page) <= 0
        assert page.url == f"{served.url}account"

        await page.get_by_label("Account", exact=True).fill("x\u200by")
        await page.get_by_role("button", name="Show").click()
        await expect(page.get_by_role("alert")).to_contain_text("account_id")
        await expect(given).to_be_hidden()
