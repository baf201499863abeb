"""The currencies that columns of the file name beside its amounts."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from keeper_grpc.importing.failure import ImportFailed
from keeper_grpc.importing.mapping.declared_values import folded
from keeper_grpc.importing.mapping.mapping import Mapping
from keeper_grpc.importing.mapping.numbers import currencies, distinct
from keeper_grpc.importing.mapping.values import Row

_CURRENCY_WORDS: Final = frozenset(
    [
        "currency",
        "currencies",
        "ccy",
        "devise",
        "monnaie",
        "währung",
        "moneda",
        "moeda",
        "valuta",
        "divisa",
    ]
)
"""What exports call the column, or a word of it."""

_MOST_CURRENCIES: Final = 16
"""Texts that are told apart: two are too many already."""


class NamedCurrencies:
    """The currencies that columns of the file name beside its amounts, whether the mapping reads these columns or not."""

    def __init__(self, mapping: Mapping) -> None:
        self._place = next(mapping.money_places(), None)
        self._found: dict[str, set[str]] = {}

    def add(self, row: Row) -> None:
        """Note the currencies of a row."""
        if self._place is None:
            return
        for name in filter(_names_currency, row):
            found, cell = self._found.setdefault(name, set()), row[name].strip()
            if cell and len(found) < _MOST_CURRENCIES:
                found |= currencies(f"1 {cell}") or {folded(cell)}

    def require_one(self) -> None:
        """Raise ImportFailed where the amounts are of several currencies."""
        for name, found in self._found.items():
            if len(distinct(found)) > 1:
                raise ImportFailed(
                    f'{self._place}: column "{name}" names several currencies; import one at a time, with skip for '
                    "the others, or list the column under never_read if it says nothing about the amounts"
                )


@lru_cache(maxsize=4096)  # columns repeat in each row
def _names_currency(name: str) -> bool:
    return not _CURRENCY_WORDS.isdisjoint(re.findall(r"[^\W_]+", folded(name)))
