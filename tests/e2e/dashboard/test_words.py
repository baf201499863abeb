from __future__ import annotations

import re
from collections.abc import Awaitable, Callable

import pytest
from playwright.async_api import Browser, Page, ViewportSize, expect

from tests.e2e.dashboard.browsing import (
    MISSING,
    PHONE,
    Dashboard,
    chromium,
    opened,
    overflow,
    serious,
)
from tests.e2e.dashboard.network import ACTIONS
from tests.e2e.dashboard.words import unexplained, unreadable
from tests.e2e.waiting import SOON

if chromium() is None:
    pytest.skip(MISSING, allow_module_level=True)

expect.set_options(timeout=1000 * SOON)

DESK: ViewportSize = {"width": 1280, "height": 900}


async def nothing(page: Page) -> None:
    """The page as it opens."""


async def first_pattern(page: Page) -> None:
    """Open a pattern's page."""
    await page.get_by_role("link", name=ACTIONS[0]).click()
    await expect(page.get_by_role("region", name="Evidence")).to_be_visible()


async def first_emerging(page: Page) -> None:
    """Open an emerging pattern's page."""
    await page.get_by_role("table", name="Emerging patterns").get_by_role("link").first.click()
    await expect(page.get_by_role("region", name="What is seen")).to_be_visible()


async def ask(page: Page) -> None:
    """Try an insight."""
    await page.get_by_label("Conditions").fill("days_since_visit: 60")
    await page.get_by_role("button", name="Show what the network would say").click()
    await expect(page.get_by_role("table", name="Patterns that were considered")).to_be_visible()


async def look_at_an_account(page: Page) -> None:
    """Ask what the network is worth to an account."""
    await page.get_by_label("Account", exact=True).fill("spa-spa-1")
    await page.get_by_role("button", name="Show").click()
    await expect(page.get_by_role("region", name="What it gave to others")).to_be_visible()


async def unfold(page: Page) -> None:
    """Open every section and every table, once the page has its connection: one that fails is loaded again."""
    await page.wait_for_function("window.did_handshake === true")
    folded = page.locator("details:not([open]) > summary:visible")
    while await folded.count():
        await folded.first.click()


@pytest.mark.parametrize("viewport", [DESK, PHONE], ids=["desk", "phone"])
@pytest.mark.parametrize(
    ("path", "walk"),
    [
        ("?category=spa", nothing),
        ("?from=2026-01-05&to=2026-01-11", nothing),
        ("patterns", nothing),
        ("patterns", first_pattern),
        ("emerging", nothing),
        ("emerging", first_emerging),
        ("try", ask),
        ("account", look_at_an_account),
    ],
)
async def test_every_word_of_a_page_is_explained_where_it_stands(
    browser: Browser,
    served: Dashboard,
    path: str,
    walk: Callable[[Page], Awaitable[None]],
    viewport: ViewportSize,
) -> None:
    """Headings of columns, facts and fields have a meaning, which the keyboard shows whole and within the window."""
    async with opened(browser, f"{served.url}{path}", viewport=viewport) as page:
        await walk(page)
        await unfold(page)
        assert await unexplained(page) == set()
        assert await unreadable(page) == []
        assert await serious(page) == []
        assert await overflow(page) <= 0


async def test_a_word_explains_itself_to_everybody(browser: Browser, served: Dashboard) -> None:
    """On hover, with the keyboard and on a tap; Escape takes it away, and screen readers have it as a description."""
    async with opened(browser, served.url) as page:
        word = page.locator(".tile").get_by_role("button", name="Pattern accuracy")
        meaning = page.locator(".tile").get_by_text("succeeded about as often as was foretold")
        await expect(meaning).to_be_hidden()
        await expect(word).to_have_accessible_description(re.compile("as was foretold"))
        await word.hover()
        await expect(meaning).to_be_visible()
        await page.keyboard.press("Escape")
        await expect(meaning).to_be_hidden()
        await page.mouse.move(0, 0)
        await word.focus()
        await expect(meaning).to_be_visible()
        assert await serious(page) == []


async def test_a_meaning_stays_while_it_is_pointed_at(browser: Browser, served: Dashboard) -> None:
    """Whoever enlarges the page has to move over a meaning to read it."""
    async with opened(browser, f"{served.url}patterns") as page:
        await page.get_by_role("columnheader").get_by_role("button", name="Accounts").hover()
        meaning = page.get_by_role("tooltip")
        box = await meaning.bounding_box()
        assert box is not None
        await page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2, steps=20)
        await expect(meaning).to_be_visible()


async def test_a_state_explains_itself_whatever_it_is(browser: Browser, served: Dashboard) -> None:
    """A tile without enough data says what that means, and one that is withheld says why."""
    for query, state, meaning in (
        ("", "Not enough data", "It is not zero"),
        ("?category=gym&days=7", "Withheld", "without telling of one of them"),
    ):
        async with opened(browser, f"{served.url}{query}") as page:
            tile = page.locator(".tile").filter(has_text="Pattern accuracy")
            word = tile.get_by_role("button", name=state)
            await word.focus()
            await expect(tile.get_by_role("tooltip").filter(has_text=meaning)).to_be_visible()


async def test_the_tab_is_called_by_what_the_page_shows(
    browser: Browser, served: Dashboard
) -> None:
    """Ten tabs of patterns can be told apart, and so can the lines of business."""
    async with opened(browser, f"{served.url}patterns") as page:
        await expect(page).to_have_title("Patterns \N{MIDDLE DOT} Keeper Network")
        await first_pattern(page)
        await expect(page).to_have_title(f"{ACTIONS[0]} \N{MIDDLE DOT} Keeper Network")
        await page.goto(f"{served.url}patterns/no-uuid")
        await expect(page).to_have_title("No such pattern \N{MIDDLE DOT} Keeper Network")
        await page.goto(f"{served.url}emerging")
        await first_emerging(page)
        name = await page.get_by_role("heading", level=1).inner_text()
        await expect(page).to_have_title(f"{name} \N{MIDDLE DOT} Keeper Network")
        await page.goto(f"{served.url}?category=spa")
        await expect(page).to_have_title("Spa \N{MIDDLE DOT} Keeper Network")
