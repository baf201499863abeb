"""Which patterns a page lists, in which order. The page's address holds it, so it can be bookmarked and shared."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlencode

from keeper_grpc.client.orders import in_order
from keeper_grpc.gen.keeper.network.v1.pattern_pb2 import Pattern

PAGE = 50
"""Patterns on a page."""

_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
"""The API's format of a type or a line of business."""

_LONGEST_SEARCH = 200
"""The API's own bound."""

_LAST_PAGE = 9_999


ORDERS: Mapping[str, str] = {
    "surest": "Surest first",
    "rate": "Success rate",
    "cases": "Cases",
    "accounts": "Accounts",
    "latest": "Last observed",
}
"""The orders of the list by their names for people."""


@dataclass(frozen=True, slots=True)
class Sought:
    """The filters: what is read of the server. Empty is all."""

    category: str = ""
    pattern_type: str = ""
    search: str = ""


@dataclass(frozen=True, slots=True)
class Listing:
    """The filters, the order, and the page from 1."""

    sought: Sought = Sought()
    order: str = "surest"
    page: int = 1

    @classmethod
    def from_query(cls, *, category: str, type_: str, search: str, sort: str, page: str) -> Listing:
        """Read an address; invalid values count as not chosen."""
        return cls(
            Sought(
                category if _NAME.fullmatch(category) else "",
                type_ if _NAME.fullmatch(type_) else "",
                " ".join(search.split())[:_LONGEST_SEARCH] if search.isprintable() else "",
            ),
            sort if sort in ORDERS else "surest",
            min(int(page), _LAST_PAGE) if re.fullmatch(r"[1-9]\d{0,3}", page) else 1,
        )

    def on(self, page: int) -> Listing:
        """Another page of the same list."""
        return replace(self, page=page)

    def by(self, order: str) -> Listing:
        """The same list in another order, from its beginning."""
        return replace(self, order=order, page=1)

    @property
    def query(self) -> str:
        """The part of an address that chooses this; empty where nothing is chosen."""
        chosen = {
            "category": self.sought.category,
            "type": self.sought.pattern_type,
            "search": self.sought.search,
            "sort": "" if self.order == "surest" else self.order,
            "page": "" if self.page == 1 else str(self.page),
        }
        query = urlencode({name: value for name, value in chosen.items() if value})
        return f"?{query}" if query else ""

    def ordered(self, patterns: Sequence[Pattern]) -> Sequence[Pattern]:
        """All of them in this order; the server's is the surest first, and decides between equals."""
        return in_order(patterns, self.order)

    def shown(self, patterns: Sequence[Pattern]) -> Sequence[Pattern]:
        """Those of this page."""
        first = (self.page - 1) * PAGE
        return self.ordered(patterns)[first : first + PAGE]


def pages(count: int) -> int:
    """How many pages so many patterns have; one at least."""
    return max(-(-count // PAGE), 1)
