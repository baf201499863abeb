"""Amounts of money: in one currency where the operator says that all accounts use one, else as plain numbers."""

from __future__ import annotations

from babel.core import get_global
from babel.numbers import format_currency, get_currency_precision, get_currency_symbol

_LOCALE = "en_US"
"""The language of the pages."""

_CENTS_BELOW = 100
"""Amounts below this show cents, which matter there."""


class Money:
    """How this process writes amounts. `currency` is a code of ISO 4217, or None: the accounts' own, added up."""

    currency: str | None = None

    @classmethod
    def words(cls) -> str:
        """In which currency amounts are."""
        return f"in {cls.currency}" if cls.currency else "in the accounts' currencies"


def known_currency(code: str) -> bool:
    """Whether it is a currency's code."""
    return code in get_global("all_currencies")


def money(value: float) -> str:
    """An amount that accounts reported."""
    if Money.currency is None:
        return f"{value:,.0f}" if abs(value) >= _CENTS_BELOW else f"{value:,.2f}"
    return in_currency(value, Money.currency)


def in_currency(value: float, currency: str) -> str:
    """An amount of a currency, as English writes it; cents where they matter."""
    symbol = get_currency_symbol(currency, locale=_LOCALE)
    # A symbol of letters stands apart from the number.
    sign = "\N{CURRENCY SIGN}\N{NO-BREAK SPACE}" if symbol[-1].isalpha() else "\N{CURRENCY SIGN}"
    cents = abs(value) < _CENTS_BELOW and get_currency_precision(currency)
    written = f"{sign}#,##0{'.00' if cents else ''}"
    return format_currency(value, currency, written, locale=_LOCALE, currency_digits=False)
