"""Fills a database with a network of a given size, as captures of some weeks ago would have left it.

The ledger is written in bulk, and the service's own rebuild counts it: nothing here knows how evidence is
counted. The sightings of those captures have left the window, and the questions' vectors are not in the cache yet.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from uuid import UUID, uuid4

import asyncpg
import numpy as np
from numpy.typing import NDArray
from pgvector.asyncpg import register_vector

from keeper_grpc.composition.shared import counting_of
from keeper_grpc.domain.accounts.account_id import canonical_account_id
from keeper_grpc.domain.evidence.recounting import in_parts
from keeper_grpc.domain.evidence.steps import due
from keeper_grpc.domain.insight import AnonymizedInsight
from keeper_grpc.domain.patterns.pattern import PatternKey, Scope
from keeper_grpc.embedding.local import LocalEmbedder
from keeper_grpc.privacy.keys.pseudonyms import Pseudonyms
from keeper_grpc.settings import Settings
from keeper_grpc.storage.database import Database
from keeper_grpc.storage.evidence.rebuild import PostgresRebuild
from keeper_grpc.storage.patterns.versions import open_scope

TYPES = (
    "churn_prevention",
    "modifier_opportunity",
    "review_response",
    "upsell",
    "no_show",
    "referral",
    "retention",
    "seasonal_offer",
)
CATEGORIES = ("spa", "salon", "gym")
SCOPES = tuple((kind, category) for kind in TYPES for category in CATEGORIES)
ACCOUNTS = 40
"""Of each category."""
WORDINGS = 64
"""Actions of each scope that are asked about; the other patterns lie around them."""
FEWEST, MOST = 4, 8
"""Accounts behind a pattern: as many as are published, and more."""
AT_ONCE = 4
"""Transactions that count patterns at a time."""

KEY = bytes(32)
"""The key of the pseudonyms, of the server as well."""

_DRINKS = ("tea", "coffee", "water", "juice", "cider", "cocoa", "lemonade", "punch")
_WHEN = ("morning", "evening", "weekend", "summer", "winter", "holiday", "monday", "friday")
_PLACES = ("pool", "window", "garden", "door", "bar", "desk", "fountain", "terrace")
_PERCENT = 99
_GIFTS = ("towel", "robe", "candle", "soap", "oil", "lotion", "mask", "scrub")

Vectors = NDArray[np.float32]


def action(number: int) -> str:
    """One of 456,000 imperative sentences, of words that the anonymizer lets pass."""
    drink, when, gift = _DRINKS[number % 8], _WHEN[number // 8 % 8], _GIFTS[number // 64 % 8]
    percent, place = number // 512 % _PERCENT + 1, number // (512 * _PERCENT)
    where = f" by the {_PLACES[place - 1]}" if place else ""
    return f"Offer {drink} and a {gift} for {percent}% less on a {when}{where}"


def script(number: int) -> str:
    """A message to a guest, masked as the anonymizer leaves it."""
    return f"Hi {{customer_name}}, we miss you. {action(number)[6:].capitalize()} is waiting."


def account(category: str, number: int) -> str:
    """The id of one of a category's accounts."""
    return f"bench-{category}-{number % ACCOUNTS}"


def pseudonyms() -> Pseudonyms:
    """As the measured server makes them."""
    return Pseudonyms({"bench": KEY}, "bench")


def shares() -> NDArray[np.float64]:
    """How much of everything each scope has: Zipf's law."""
    weights = 1.0 / np.arange(1, len(SCOPES) + 1)
    return np.asarray(weights / weights.sum())


@dataclass(frozen=True)
class _Made:
    """One pattern, the how-manieth it is of its scope, and its vectors."""

    scope: Scope
    number: int
    vector: Vectors
    action: Vectors


class Network:
    """Grows one database."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._rng = np.random.default_rng(1)
        self._there = 0
        self._numbers = [count() for _ in SCOPES]
        self._near: dict[tuple[str, str], Vectors] = {}
        self._actions: Vectors | None = None
        self._model = ""

    async def grow(self, size: int) -> None:
        """Add patterns until there are `size`."""
        if self._actions is None:
            await self._embed()
        made = self._patterns(size - self._there)
        settings = Settings(database_url=self._dsn)
        connection = await asyncpg.connect(self._dsn)
        try:
            await register_vector(connection)
            # The rebuild below makes what triggers would; foreign keys hold by construction.
            await connection.execute("SET session_replication_role = replica")
            if not self._there:
                await self._add_accounts(connection)
            ids = await self._add_patterns(connection, made)
            await self._add_observations(connection, made, ids)
            await connection.execute("VACUUM ANALYZE")
        finally:
            await connection.close()
        database = await Database.open(
            self._dsn, pool_size=AT_ONCE, acquire_timeout=600, statement_timeout=600
        )
        try:
            counting, store = counting_of(settings), PostgresRebuild(database)
            await store.begin(counting)
            waiting = in_parts(
                sorted(
                    PatternKey(each.scope.scope_id, key)
                    for key, each in zip(ids, made, strict=True)
                )
            )

            async def counter() -> None:
                for some in waiting:
                    await store.recount(some, counting)

            await asyncio.gather(*(counter() for _ in range(AT_ONCE)))
            await store.recount_measures()
            await store.finish(counting)
        finally:
            await database.close()
        connection = await asyncpg.connect(self._dsn)
        try:
            # The rebuild has written every row again; weeks ago it would have been vacuumed since.
            await connection.execute("VACUUM ANALYZE")
        finally:
            await connection.close()
        self._there = size

    async def _embed(self) -> None:
        model = LocalEmbedder()
        self._model = model.model
        for kind, category in SCOPES:
            texts = [insight(kind, category, number).render() for number in range(WORDINGS)]
            self._near[kind, category] = await model.embed(texts)
        self._actions = await model.embed([action(number) for number in range(WORDINGS)])
        await model.aclose()

    def _patterns(self, wanted: int) -> list[_Made]:
        assert self._actions is not None  # noqa: S101 - for mypy; `grow` embeds first
        drawn = self._rng.choice(len(SCOPES), size=wanted, p=shares())
        made = []
        for each in drawn:
            number = next(self._numbers[int(each)])
            kind, category = SCOPES[int(each)]
            near = self._near[kind, category][number % WORDINGS]
            if number >= WORDINGS:
                # A cosine of about 0.8 to the text: similar, and not the same.
                near = near.copy()
                near[:512] += self._rng.standard_normal(512).astype(np.float32) * 0.033
                near /= np.linalg.norm(near)
            made.append(
                _Made(
                    Scope(kind, category, self._model),
                    number,
                    near,
                    self._actions[number % WORDINGS],
                )
            )
        return made

    async def _add_accounts(self, connection: asyncpg.Connection[asyncpg.Record]) -> None:
        await connection.executemany(
            """
            INSERT INTO accounts (account_key, business_category, joined_time, created_at, registered, qualified)
            VALUES ($1, $2, now() - interval '90 days', now() - interval '90 days', true, true)
            """,
            [
                (_key(category, number), category)
                for category in CATEGORIES
                for number in range(ACCOUNTS)
            ],
        )

    async def _add_patterns(
        self, connection: asyncpg.Connection[asyncpg.Record], made: Sequence[_Made]
    ) -> list[UUID]:
        ids = [uuid4() for _ in made]
        for scope in {each.scope for each in made}:
            await open_scope(connection, scope)
        await connection.copy_records_to_table(
            "network_patterns",
            columns=(
                "id",
                "scope_id",
                "pattern_type",
                "business_category",
                "embedding_model",
                "pattern_embedding",
                "context",
                "action_template",
                "first_discovered",
            ),
            records=[
                (
                    key,
                    each.scope.scope_id,
                    each.scope.pattern_type,
                    each.scope.business_category,
                    each.scope.embedding_model,
                    each.vector,
                    json.dumps(conditions(each.number)),
                    action(each.number),
                    _long_ago(0),
                )
                for key, each in zip(ids, made, strict=True)
            ],
        )
        await connection.copy_records_to_table(
            "pattern_actions",
            columns=("scope_id", "pattern_id", "action_embedding"),
            records=[
                (each.scope.scope_id, key, each.action) for key, each in zip(ids, made, strict=True)
            ],
        )
        return ids

    async def _add_observations(
        self,
        connection: asyncpg.Connection[asyncpg.Record],
        made: Sequence[_Made],
        ids: Sequence[UUID],
    ) -> None:
        step = Settings.model_fields["counting_step"].default
        several = next(number for number in range(2, 1_000) if due(number, step))
        rows = []
        for key, each in zip(ids, made, strict=True):
            rate = self._rng.uniform(0.55, 0.95)
            accounts = self._rng.choice(
                ACCOUNTS, size=self._rng.integers(FEWEST, MOST + 1), replace=False
            )
            for place, number in enumerate(accounts):
                # Numbers of outcomes that count at once (domain/evidence/steps.py): none of them waits.
                trials = several if place % 3 == 0 else 1
                for trial in range(trials):
                    at = _long_ago(float(self._rng.uniform(0, 30)))
                    rows.append(
                        (
                            uuid4(),
                            each.scope.scope_id,
                            _key(each.scope.business_category, int(number)),
                            "merged" if place or trial else "created",
                            key,
                            0.97 if place or trial else 0.0,
                            each.scope.pattern_type,
                            each.scope.business_category,
                            each.scope.embedding_model,
                            json.dumps(conditions(each.number)),
                            action(each.number),
                            script(each.number),
                            0.6,
                            0.0,
                            100.0,
                            bool(self._rng.random() < rate),
                            float(self._rng.integers(20, 200)),
                            '{"masked": {}, "dropped": []}',
                            at,
                            at,
                            # Measured long ago: what waits is read by the account's next capture.
                            at.date(),
                            # Of no question, so that nothing of it waits for the holdout experiment.
                            None,
                        )
                    )
        await connection.copy_records_to_table(
            "observations",
            columns=(
                "id",
                "scope_id",
                "account_key",
                "disposition",
                "pattern_id",
                "similarity",
                "pattern_type",
                "business_category",
                "embedding_model",
                "context",
                "action",
                "script",
                "confidence",
                "dollar_value",
                "potential_value",
                "success",
                "revenue_impact",
                "anonymization",
                "occurred_time",
                "recorded_time",
                "measured_day",
                "compared",
            ),
            records=rows,
        )


def insight(kind: str, category: str, number: int) -> AnonymizedInsight:
    """What accounts noticed that came to the pattern of this number, as it is kept."""
    return AnonymizedInsight(
        kind, category, conditions(number), action(number), script(number), 0.6, 0, 100
    )


def conditions(number: int) -> dict[str, str]:
    """The conditions of a pattern, in bands as the anonymizer leaves them."""
    return {"service": ("massage", "facial", "sauna")[number % 3]}


def _key(category: str, number: int) -> str:
    return pseudonyms().key_of(canonical_account_id(account(category, number)))


def _long_ago(days: float) -> datetime:
    """Between 40 and 10 days ago."""
    return datetime.now(UTC) - timedelta(days=40 - days)
