"""How the pages are shown, as the command line says."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Shown:
    """What the pages are shown with.

    stale_after: seconds of silence after which a page says so. truth: the true uplift, where it is known.
    operate_without_token: everybody may operate a server that asks nobody who calls. operator_token_header: in which a
    proxy sends its visitor's token. currency: that of all amounts, as a code of ISO 4217; None where accounts have
    several.
    """

    stale_after: float
    truth: float | None = None
    operate_without_token: bool = False
    operator_token_header: str | None = None
    currency: str | None = None
