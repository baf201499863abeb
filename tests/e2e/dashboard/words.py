"""Finds the names on a page that have no explanation, and the explanations that are hidden or outside the window."""

from __future__ import annotations

from playwright.async_api import Page

PLAIN = {
    *("When", "What", "Who", "Value", "Figure", "Measure", "Table", "Search", "Order"),
    *("What to do", "Why, for the audit log", "Action, if one is planned"),
    *("Patterns over time", "Success over time"),
}
"""Everyday words, whose place says the rest."""

_UNEXPLAINED = """
() => [...document.querySelectorAll("th[scope=col], dt, .tile h3, .chart-title, .stage, .field")]
  .filter((each) => each.checkVisibility() && !each.querySelector(".term, .ask, small"))
  .map((each) => (each.querySelector("label") ?? each).textContent)
"""
_UNREADABLE = """
() => {
  const unreadable = [];
  const words = [...document.querySelectorAll(".term, .ask")].filter((each) => each.checkVisibility());
  for (const word of words) {
    word.scrollIntoView({block: "center"});
    word.focus();
    const meaning = word.nextElementSibling;
    const box = meaning.getBoundingClientRect();
    const seen = document.elementFromPoint(box.left + box.width / 2, box.top + box.height / 2);
    if (!meaning.textContent || box.left < 0 || box.right > document.documentElement.clientWidth || seen !== meaning)
      unreadable.push(word.textContent);
  }
  document.activeElement.blur();
  return [words.length, unreadable];
}
"""


async def unexplained(page: Page) -> set[str]:
    """The visible headings, facts and fields that are in no glossary, have no hint and are no everyday words."""
    return set(await page.evaluate(_UNEXPLAINED)) - PLAIN


async def unreadable(page: Page) -> list[str]:
    """The words whose meaning is clipped, covered or beyond the window when they have the focus."""
    words, found = await page.evaluate(_UNREADABLE)
    assert words
    return list(found)
