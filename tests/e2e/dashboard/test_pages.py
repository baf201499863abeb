from __future__ import annotations

import re
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect

from keeper_grpc.client import KeeperClient
from keeper_grpc.gen.keeper.network.v1.admin_service_pb2 import ForgetAccountRequest
from keeper_grpc.gen.keeper.network.v1.adoption_pb2 import (
    REACTION_DISMISSED,
    REACTION_DONE,
    DismissalReason,
    Reaction,
)
from keeper_grpc.gen.keeper.network.v1.insight_pb2 import Insight, Outcome
from tests.e2e.calls import admin, emerge
from tests.e2e.conftest import StartServer
from tests.e2e.dashboard.browsing import (
    MISSING,
    OFTEN,
    PHONE,
    Dashboard,
    chromium,
    dashboard,
    opened,
    overflow,
    serious,
)
from tests.e2e.dashboard.network import ACTIONS, Network, learn
from tests.e2e.waiting import SOON

MakeDirectory = Callable[[], Path]

DESK = {"width": 1280, "height": 900}

ZOOMED = {"width": 640, "height": 450}
"""What a window of 1280 by 900 has room for at a zoom of 200%."""

if chromium() is None:
    # Here and not in a fixture, so that the reason is told once.
    pytest.skip(MISSING, allow_module_level=True)

expect.set_options(timeout=1000 * SOON)


async def marked(page: Page) -> Callable[[], Awaitable[bool]]:
    """Mark the page; what this returns tells whether it is still the same, never loaded anew."""
    await page.evaluate("window.marked = true")

    async def unchanged() -> bool:
        return bool(await page.evaluate("window.marked === true"))

    return unchanged


async def test_the_overview_shows_what_the_server_tells(
    browser: Browser, served: Dashboard
) -> None:
    """Tiles with targets, charts with tables, patterns with evidence, and the privacy panel."""
    async with opened(browser, served.url) as page:
        tiles = page.locator(".tile")
        await expect(tiles).to_have_count(8)
        accuracy = tiles.filter(has_text="Pattern accuracy")
        await expect(accuracy).to_contain_text("Target: at least 85%")
        await expect(accuracy).to_contain_text("Not enough data")
        await expect(accuracy).to_contain_text("From 0 patterns")
        await expect(accuracy.locator(".value")).to_have_text("\N{EN DASH}")
        await expect(page.get_by_role("heading", level=1)).to_have_count(1)
        brought = page.get_by_role("region", name="What the network brought")
        await expect(brought).to_contain_text("Not measured")
        await expect(brought).to_contain_text("Nothing is compared yet")
        await expect(brought.get_by_text("Chance decided")).to_be_hidden()
        for name in ("Targets", "Over time", "Emerging now", "Top patterns", "Privacy"):
            await expect(page.get_by_role("region", name=name)).to_be_visible()
        chart = page.locator("figure").filter(has_text="Patterns over time")
        await expect(chart.locator("svg path").first).to_be_attached()
        await chart.get_by_text("Patterns over time as a table").click()
        await expect(chart.get_by_role("columnheader", name="New patterns")).to_be_visible()
        await expect(chart.locator("tbody tr")).to_have_count(1)
        top = page.get_by_role("table", name="Top patterns")
        for action in ACTIONS:
            row = top.get_by_role("row").filter(has_text=action)
            await expect(row).to_contain_text("75%")
            await expect(row).to_contain_text(re.compile(r"at least \d+%"))
        privacy = page.get_by_role("region", name="Privacy")
        await expect(privacy).to_contain_text("rests on 4 of them")
        await expect(privacy).to_contain_text("Nothing has been done to accounts or patterns.")


async def test_what_too_few_accounts_did_is_withheld_and_not_zero(
    browser: Browser, served: Dashboard
) -> None:
    """A line of business of one account shows no number at all, and says why."""
    async with opened(browser, f"{served.url}?category=gym&days=7") as page:
        await expect(page.get_by_text("they are withheld, not zero")).to_be_visible()
        await expect(page.locator(".tile .status")).to_have_text(
            ["\N{HORIZONTAL ELLIPSIS} Withheld"] * 8, use_inner_text=True
        )
        await expect(page.locator(".tile .value")).to_have_text(["\N{EN DASH}"] * 8)
        await expect(page.locator(".brought")).to_contain_text("Withheld")
        await expect(page.locator(".brought .value")).to_have_text(["\N{EN DASH}"] * 2)
        await expect(page.locator(".numbers .value")).to_have_text(["Withheld"] * 8)
        await expect(page.get_by_text("No pattern has enough evidence")).to_be_visible()
        # The address alone chose it: nothing of it is published, so it is not to be chosen from.
        lines = page.get_by_role("navigation", name="Line of business")
        await expect(lines.locator("[aria-current]")).to_have_text("Gym")


async def test_filters_are_links_that_the_address_keeps(
    browser: Browser, served: Dashboard
) -> None:
    """A click narrows the page to a line of business and keeps the window; a reload changes nothing."""
    async with opened(browser, f"{served.url}?days=90") as page:
        lines = page.get_by_role("navigation", name="Line of business")
        await expect(lines.get_by_role("link", name="Gym")).to_have_count(0)  # nothing is published
        await lines.get_by_role("link", name="Spa").click()
        await expect(page).to_have_url(f"{served.url}?category=spa&days=90")
        await expect(lines.get_by_role("link", name="Spa")).to_have_attribute(
            "aria-current", "true"
        )
        windows = page.get_by_role("navigation", name="Window")
        await expect(windows.locator("[aria-current]")).to_have_text("90 days")
        await page.reload()
        await expect(lines.locator("[aria-current]")).to_have_text("Spa")


async def test_what_accounts_did_with_advice_appears_as_a_funnel(
    browser: Browser, served: Dashboard, network: Network
) -> None:
    """At first too few have reacted, which is said; then each stage is a bar of its share, with its count."""
    async with opened(browser, served.url) as page, KeeperClient(network.address) as keeper:
        funnel = page.get_by_role("region", name="What became of the advice")
        await expect(funnel).to_contain_text("Too few accounts have reported")
        await expect(funnel.get_by_role("listitem")).to_have_count(0)

        for account in range(3):
            for _ in range(4):
                await react(keeper, f"asker-{account}", REACTION_DONE)
            await react(keeper, f"asker-{account}", REACTION_DISMISSED)

        await expect(funnel.get_by_role("listitem")).to_have_text(
            ["Shown 15 (100%)", "Accepted 12 (80%)", "Done 12 (80%)", "Dismissed 3 (20%)"],
            use_inner_text=True,
        )
        await expect(funnel).to_contain_text("Dismissed because: too costly 3.")
        widths = [
            await bar.evaluate("bar => bar.offsetWidth / bar.parentElement.offsetWidth")
            for bar in await funnel.locator(".bar").all()
        ]
        assert widths == pytest.approx([1, 0.8, 0.8, 0.2], abs=0.01)


async def react(keeper: KeeperClient, account: str, reaction: Reaction.ValueType) -> None:
    """Ask, and do that with the advice."""
    asked = Insight(type="churn_prevention", business_category="spa", confidence=0.6)
    asked.conditions.update({"days_since_visit": 60})
    given = await keeper.enhance(account, asked)
    assert given.enhanced_insight.network_enhanced
    reason = DismissalReason.DISMISSAL_REASON_UNSPECIFIED
    if reaction == REACTION_DISMISSED:
        reason = DismissalReason.DISMISSAL_REASON_TOO_COSTLY
    await keeper.report_reaction(account, given.enhancement_id, reaction, reason=reason)


async def test_a_capture_appears_without_a_reload(
    browser: Browser, served: Dashboard, network: Network
) -> None:
    """Counts and the list of patterns follow what is captured while the page is open."""
    async with opened(browser, served.url) as page:
        found = page.locator(".numbers > div").filter(has_text="New patterns").locator(".value")
        await expect(found).to_have_text("3")  # the withheld gym is not counted
        unchanged = await marked(page)

        await learn(network.address, "Text guests who are late on their way")

        await expect(found).to_have_text("4")
        await expect(
            page.get_by_role("table", name="Top patterns").get_by_text("Text guests who are late")
        ).to_be_visible()
        assert await unchanged()


async def test_a_forgotten_account_is_listed_without_how_much_was_removed(
    browser: Browser, served: Dashboard, network: Network
) -> None:
    """What an operator did is everyone's to see; the counts of it are that one account's."""
    async with (
        opened(browser, served.url) as page,
        KeeperClient(network.address) as keeper,
        network.server.channel() as channel,
    ):
        unchanged = await marked(page)
        await keeper.register_account("leaver", "gym")
        offer = Insight(type="upsell_opportunity", action="Offer a locker", confidence=0.6)
        await keeper.capture("leaver", offer, Outcome(success=True))
        await admin(channel).ForgetAccount(ForgetAccountRequest(account_id="leaver"))
        # A page asks anew for what operators did when the metrics have changed.
        await learn(network.address, "Give guests a sample of the new body oil")

        rows = page.get_by_role("table", name="What operators did").locator("tbody tr")
        await expect(rows).to_have_text(
            [
                re.compile(rf"^\d{{4}}-\d\d-\d\d \d\d:\d\d UTC\s*{what}$")
                for what in ("forget account", "forget account begun", "register account")
            ]
        )
        assert await unchanged()
        newest, *_ = await keeper.list_audit_events()
        assert newest.counts["observations_removed"] == 1


async def test_words_that_look_like_markup_are_only_words(
    browser: Browser, served: Dashboard, network: Network
) -> None:
    """What an account wrote is shown as it was written, and never becomes part of the page."""
    await learn(network.address, "Offer a gift & a drink at the desk in < 5 minutes")
    async with opened(browser, served.url) as page:
        link = page.get_by_role("table", name="Top patterns").get_by_role("link", name="gift")
        await expect(link).to_contain_text("gift & a drink at the desk in < 5 minutes")
        await link.click()
        await expect(page.get_by_role("heading", level=1)).to_contain_text(
            "& a drink at the desk in < 5 minutes"
        )


async def test_emerging_patterns_arrive_live_and_are_said_once(
    browser: Browser, served: Dashboard, network: Network
) -> None:
    """What three accounts begin to see appears on top, marked in words, and is announced."""
    async with opened(browser, served.url) as page, network.server.channel() as channel:
        emerging = page.get_by_role("region", name="Emerging now")
        # What the fixture's accounts captured is emerging too.
        await expect(emerging.locator("tbody tr").first).to_be_visible()
        unchanged = await marked(page)

        await emerge(channel, "Offer a quiet evening soak", insight_type="service_demand")

        row = emerging.get_by_role("row").filter(has_text="Offer a quiet evening soak")
        await expect(row).to_contain_text(re.compile(r"new at \d\d:\d\d:\d\d UTC"))
        await expect(row).to_contain_text("service demand")
        await expect(
            page.get_by_role("status").filter(has_text="New emerging pattern: Offer a quiet")
        ).to_have_count(1)
        assert await unchanged()


async def test_a_pattern_has_a_page_of_its_own(browser: Browser, served: Dashboard) -> None:
    """Its evidence, conditions, scripts and history, and the way back; also on a phone."""
    async with opened(browser, served.url, viewport=PHONE) as page:
        await page.get_by_text("Top patterns", exact=True).click()
        await page.locator("table", has_text="Top").get_by_role("link", name=ACTIONS[0]).click()
        await expect(page.get_by_role("heading", level=1)).to_have_text(ACTIONS[0])
        evidence = page.get_by_role("region", name="Evidence")
        await expect(evidence).to_contain_text("75%")
        await expect(evidence).to_contain_text("3 successful")
        await expect(evidence).to_contain_text("40.00")
        await expect(page.get_by_role("table", name="When it applies")).to_contain_text("60")
        await expect(page.get_by_role("table", name="Scripts")).to_contain_text(
            "we have missed you"
        )
        history = page.get_by_role("region", name="History")
        await expect(history).to_contain_text("1 period")
        await history.get_by_text("as a table").click()
        await expect(history.locator("tbody tr")).to_have_count(1)
        assert await serious(page) == []
        assert await overflow(page) <= 0
        await page.get_by_role("navigation", name="Back").get_by_role("link").click()
        await expect(page).to_have_url(f"{served.url}patterns")


async def test_an_authored_patterns_page_shows_its_authors_claim(
    browser: Browser, start_server: StartServer, served: Dashboard, make_directory: MakeDirectory
) -> None:
    """Labelled as a claim and apart from the evidence; a pattern of the network has no such part."""
    server = await start_server(KEEPER_SEED_CATALOG="true")
    async with KeeperClient(server.address) as keeper:
        authored = {pattern.action: pattern async for pattern in keeper.list_patterns()}
    (pattern,) = (found for action, found in authored.items() if "talk directly" in action)
    async with (
        dashboard(server.address, make_directory()) as shown,
        opened(browser, f"{shown.url}patterns/{pattern.pattern_id}") as page,
    ):
        claim = page.get_by_role("region", name="The author's claim")
        await expect(claim).to_contain_text("61%")
        await expect(claim).to_contain_text("2.3 stars higher, on average")
        await expect(page.get_by_text("authored, untested here")).to_be_visible()
        await expect(claim).to_contain_text("Offer the reviewer a complimentary service")
        await expect(claim).to_contain_text("no part of the evidence")
        evidence = page.get_by_role("region", name="Evidence")
        await expect(evidence).to_contain_text("Not enough data")
        await expect(evidence).to_contain_text("Untested")
        await expect(page.get_by_text("As its author put it")).to_be_visible()
        assert await serious(page) == []
    async with opened(browser, served.url) as page:
        top = page.get_by_role("table", name="Top patterns")
        await top.get_by_role("link", name=ACTIONS[0]).click()
        await expect(page.get_by_role("region", name="Evidence")).to_contain_text("75%")
        await expect(page.get_by_role("region", name="The author's claim")).to_be_hidden()


@pytest.mark.parametrize("pattern_id", [str(uuid.UUID(int=7)), "no-uuid"])
async def test_a_pattern_that_is_not_shown_says_so(
    browser: Browser, served: Dashboard, pattern_id: str
) -> None:
    """An address of nothing, or of what too few accounts support, leads to words and not an error."""
    async with opened(browser, f"{served.url}patterns/{pattern_id}") as page:
        await expect(page.get_by_role("heading", level=1)).to_have_text("No such pattern")


async def test_a_server_that_is_away_makes_the_page_stale_and_heals_it(
    browser: Browser, served: Dashboard, network: Network
) -> None:
    """It says since when nothing is known, and goes on by itself once the server is back."""
    async with opened(browser, served.url) as page:
        table = page.get_by_role("table", name="Top patterns")
        await expect(table).to_contain_text(ACTIONS[0])
        unchanged = await marked(page)

        await network.server.kill()

        await expect(page.get_by_text("Stale", exact=True)).to_be_visible()
        notice = page.locator(".notice", has_text="What you see was true at")
        await expect(notice).to_be_visible()
        said = page.get_by_role("status")
        await expect(said).to_contain_text("Stale: the server cannot be reached")
        await expect(table).to_contain_text(ACTIONS[0])
        # Nothing was ever heard of what this one looks at: it must not look like nothing.
        late = await page.context.new_page()
        await late.goto(f"{served.url}?category=salon")
        await expect(
            late.locator(".notice", has_text="The server cannot be reached. Trying again.")
        ).to_be_visible()
        await expect(late.locator(".tile .status")).to_have_text(
            ["\N{HORIZONTAL ELLIPSIS}Loading"] * 8
        )
        await expect(late.get_by_role("region", name="Top patterns")).to_contain_text("Loading")

        await network.start_again()
        await learn(network.address, "Thank guests with a small gift after ten visits")

        await expect(page.get_by_text("Live", exact=True)).to_be_visible()
        await expect(notice).to_be_hidden()
        await expect(said).to_have_text(re.compile("Live again|New emerging pattern"))
        await expect(table).to_contain_text("Thank guests with a small gift")
        await expect(late.get_by_text("they are withheld, not zero")).to_be_visible()
        assert await unchanged()


async def test_a_dashboard_that_restarts_gets_its_pages_back(
    browser: Browser, served: Dashboard
) -> None:
    """While its own server is away the page says that it is disconnected; then it is live again."""
    async with opened(browser, served.url, tolerated=OFTEN) as page:
        assert await served.end() == 0

        await expect(page.get_by_text("Disconnected: may be stale")).to_be_visible()
        await expect(page.get_by_text("Live", exact=True)).to_be_hidden()

        await served.start_again()

        await expect(page.get_by_text("Live", exact=True)).to_be_visible()
        await expect(page.get_by_role("table", name="Top patterns")).to_be_visible()


@pytest.mark.parametrize(
    ("scheme", "viewport"), [("light", DESK), ("dark", PHONE), ("light", PHONE), ("dark", ZOOMED)]
)
async def test_axe_finds_nothing_serious_and_nothing_is_cut_off(
    browser: Browser, served: Dashboard, scheme: str, viewport: dict[str, int]
) -> None:
    """In both themes, on a phone and at 200% zoom, with every table open."""
    async with opened(browser, served.url, color_scheme=scheme, viewport=viewport) as page:
        # Sections that are folded first, then the tables in them.
        folded = page.locator("details:not([open]) > summary:visible")
        while await folded.count():
            await folded.first.click()
        await expect(page.get_by_role("table", name="Top patterns")).to_be_visible()

        assert await serious(page) == []
        assert await overflow(page) <= 0


async def test_the_theme_follows_the_system_until_one_is_chosen(
    browser: Browser, served: Dashboard
) -> None:
    """Dark where the system is dark; a choice is kept in the browser."""
    background = "getComputedStyle(document.body).backgroundColor"
    async with opened(browser, served.url, color_scheme="dark") as page:
        dark = await page.evaluate(background)
        await page.get_by_role("combobox", name="Theme").select_option("light")
        light = await page.evaluate(background)
        assert light != dark
        await page.reload()
        await expect(page.get_by_role("combobox", name="Theme")).to_have_value("light")
        assert await page.evaluate(background) == light
        await page.get_by_role("combobox", name="Theme").select_option("system")
        assert await page.evaluate(background) == dark


async def test_everything_is_reached_with_the_keyboard(browser: Browser, served: Dashboard) -> None:
    """The first stop skips to the content; links are followed with Enter; the focus is seen."""
    async with opened(browser, served.url) as page:
        await page.keyboard.press("Tab")
        await expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
        await page.keyboard.press("Enter")
        await page.keyboard.press("Tab")
        first = page.get_by_role("navigation", name="Line of business").get_by_role("link").first
        await expect(first).to_be_focused()
        assert await first.evaluate("(e) => getComputedStyle(e).outlineStyle") == "solid"
        week = page.get_by_role("link", name="7 days")
        await week.focus()
        await page.keyboard.press("Enter")
        await expect(page).to_have_url(f"{served.url}?days=7")
