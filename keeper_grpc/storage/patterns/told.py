"""Patterns as each of many accounts sees them, for the replies to a group.

The rule is that of storage/patterns/view.py: an account sees the evidence of all owners but its own. There one
account sees many patterns, and the database leaves its owner out; here each pattern is read once, and each
account's owner is left out of what was read.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING
from uuid import UUID

from keeper_grpc.domain.evidence.evidence import Shares, weigh
from keeper_grpc.domain.evidence.publication import PublicationRule
from keeper_grpc.domain.patterns.pattern import Pattern, PatternKey
from keeper_grpc.storage.database import Connection
from keeper_grpc.storage.patterns.keys import key_of
from keeper_grpc.storage.patterns.view import (
    NO_VIEWER,
    read_patterns,
    read_scripts,
    see_harms,
    to_pattern,
    to_scripts,
    to_shares,
)
from keeper_grpc.storage.patterns.words import words_of_others

if TYPE_CHECKING:
    from asyncpg import Record


async def see_for_each(
    connection: Connection, seen: Collection[tuple[PatternKey, str]], rule: PublicationRule
) -> Mapping[tuple[PatternKey, str], Pattern]:
    """Each of these patterns as the account with the key beside it sees it, if enough others support it.

    The evidence weighs all outcomes alike.
    """
    if not seen:
        return {}
    rows = {key_of(row): row for row in await read_patterns(connection, {key for key, _ in seen})}
    owners = await _owners(connection, {account_key for _, account_key in seen})
    left: dict[tuple[PatternKey, str], Shares] = {}
    worded: list[tuple[PatternKey, str]] = []
    shares = {key: to_shares(row) for key, row in rows.items()}
    for key, account_key in seen:
        owner, row = owners[account_key], rows[key]
        own = {each: share for each, share in shares[key].items() if each != owner}
        if row["retired"] or rule.withheld(weigh(own.values(), rule.k)):
            continue
        left[key, account_key] = own
        if len(own) < len(shares[key]) and row["worded"]:
            worded.append((key, account_key))
    if not left:
        return {}
    keys = {key for key, _ in left}
    scripts: dict[UUID, list[Record]] = defaultdict(list)
    for row in await read_scripts(connection, keys):
        scripts[row["pattern_id"]].append(row)
    harms = await see_harms(connection, keys)
    words = await words_of_others(connection, worded, rule.k)
    return {
        (key, account_key): to_pattern(
            rows[key],
            shares,
            to_scripts(scripts[key.pattern_id], shares, rule, without=owners[account_key]),
            rule,
            words=words.get((key, account_key)),
            harms={
                owner: own
                for owner, own in harms.get(key.pattern_id, {}).items()
                if owner != owners[account_key]
            },
        )
        for (key, account_key), shares in left.items()
    }


async def _owners(connection: Connection, account_keys: Collection[str]) -> Mapping[str, str]:
    """The owner of each account; one that is not known is its own."""
    rows = await connection.fetch(
        "SELECT account_key, owner_key FROM accounts WHERE account_key = ANY($1::text[])",
        list(account_keys),
    )
    known = {row["account_key"]: row["owner_key"] for row in rows}
    return {key: known.get(key, key) for key in account_keys} | {NO_VIEWER: NO_VIEWER}
