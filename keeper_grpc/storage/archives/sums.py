"""One account's sums of one pattern as the database keeps them: the column `sums` of archived_parts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from keeper_grpc.domain.evidence.guardrails import OwnHarms
from keeper_grpc.domain.evidence.sums import PatternSums, ShareSums

if TYPE_CHECKING:
    from asyncpg import Record


def sums_of(account_key: str, row: Record | Mapping[str, Any]) -> PatternSums:
    """The sums of one account's row of archived_parts."""
    stored = row["sums"]
    sums = PatternSums(row["observations"], row["first_time"], row["last_time"])
    sums.accounts[account_key] = ShareSums(**stored["share"])
    for facet, share in stored["facets"].items():
        sums.facets[facet, account_key] = ShareSums(**share)
    for template, share in stored["scripts"].items():
        sums.scripts[template, account_key] = ShareSums(**share)
    if stored["harms"]:
        sums.harms[account_key] = OwnHarms(**stored["harms"])
    if stored["actions"]:
        sums.wordings[account_key] = dict.fromkeys(stored["actions"])
    return sums


def to_stored(sums: PatternSums, account_key: str) -> Mapping[str, Any]:
    """The same, to be stored: of one account and one pattern."""
    return {
        "share": _share(sums.accounts[account_key]),
        "facets": {facet: _share(share) for (facet, _), share in sums.facets.items()},
        "scripts": {template: _share(share) for (template, _), share in sums.scripts.items()},
        "harms": asdict(sums.harms[account_key]) if account_key in sums.harms else {},
        "actions": list(sums.wordings.get(account_key, ())),
    }


def _share(share: ShareSums) -> Mapping[str, float]:
    """What is 0 is left out."""
    return {name: value for name, value in asdict(share).items() if value}
