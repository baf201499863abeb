"""The one-shot commands that work on the database of the settings: seed, rebuild, uplift, explore."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from uuid import uuid4

from keeper_grpc.catalog.load import load_catalog
from keeper_grpc.composition.shared import (
    authored_patterns,
    counting_of,
    make_anonymizer,
    open_pool,
    utc_now,
)
from keeper_grpc.domain.evidence.publication import PublicationRule
from keeper_grpc.local_operator import record
from keeper_grpc.models.choice import open_model
from keeper_grpc.operations.archive.exclusion import alone
from keeper_grpc.operations.archive.shelf import Shelf
from keeper_grpc.pseudonym_keys import check_pseudonym_keys
from keeper_grpc.settings import Settings
from keeper_grpc.storage.accounts.unknown_words import PostgresWords
from keeper_grpc.storage.advice.exploration import Exploring, PostgresExploration
from keeper_grpc.storage.archives.files import PostgresArchiveFiles
from keeper_grpc.storage.archives.rebuild import check_archives_needed, loaded
from keeper_grpc.storage.database import Database
from keeper_grpc.storage.evidence.check import count_wrong
from keeper_grpc.storage.evidence.rebuild import MEASURES_TIMEOUT, PostgresRebuild
from keeper_grpc.storage.metrics.uplift import Measured, PostgresUplift
from keeper_grpc.storage.patterns.authored import PostgresAuthored
from keeper_grpc.usecases.accounts.review_words import ReviewWords
from keeper_grpc.usecases.evidence.rebuild import RebuildEvidence, RebuildResult
from keeper_grpc.usecases.patterns.seed import SeedCatalog, SeedResult


async def seed(settings: Settings) -> SeedResult:
    """Seed the catalog into the database that the settings name, beside a server of it or alone."""
    async with AsyncExitStack() as stack:
        pool = await stack.enter_async_context(open_pool(settings, beside_a_server=True))
        await check_pseudonym_keys(settings, pool)
        embedder = await open_model(settings, pool)
        stack.push_async_callback(embedder.aclose)
        catalog = load_catalog()
        use_case = SeedCatalog(
            anonymizer=make_anonymizer(settings, catalog),
            embedder=embedder,
            store=PostgresAuthored(pool, PublicationRule(settings.min_accounts)),
            clock=utc_now,
            new_id=uuid4,
        )
        result = await use_case(catalog.version, authored_patterns(catalog))
        if result.added or result.upgraded:
            counts = {"added": result.added, "upgraded": result.upgraded}
            await record(pool, "seed_catalog", counts)
        return result


async def rebuild(settings: Settings, archives: Path | None = None) -> RebuildResult:
    """Recount the evidence in the database that the settings name, with `archives` also from what was archived there.

    Raises ArchiveError and ArchivesNeeded before anything is changed.
    """
    counting = counting_of(settings)
    async with AsyncExitStack() as stack:
        # A hundred patterns that everybody speaks of take longer than any call may, and no call waits.
        pool = await stack.enter_async_context(
            open_pool(settings, statement_timeout=MEASURES_TIMEOUT)
        )
        await check_pseudonym_keys(settings, pool)
        await stack.enter_async_context(alone(pool))
        if archives is None:
            await check_archives_needed(pool, counting)
            store = PostgresRebuild(pool)
        else:
            store = await stack.enter_async_context(_with_archives(pool, Shelf(archives)))
        result = await RebuildEvidence(store=store, counting=counting)()
        counts = {"patterns": result.patterns, "corrected": result.corrected}
        await record(pool, "rebuild_evidence", counts)
        return result


async def check_evidence(settings: Settings) -> int:
    """How many accounts have other evidence in a pattern than the ledger gives them, beside a server of it or alone."""
    async with open_pool(settings, beside_a_server=True) as pool, pool.connection() as connection:
        await connection.execute("SET statement_timeout = 0")
        return await count_wrong(connection)


@asynccontextmanager
async def _with_archives(pool: Database, shelf: Shelf) -> AsyncIterator[PostgresRebuild]:
    from keeper_grpc.operations.archive.reading import archived, check_all  # needs an extra

    files = await PostgresArchiveFiles(pool).files()
    check_all(shelf, files)
    async with loaded(pool, archived(shelf, files)) as store:
        yield store


@asynccontextmanager
async def word_review(settings: Settings) -> AsyncIterator[ReviewWords]:
    """The review of words in the database that the settings name, beside a server of it or alone."""
    async with open_pool(settings, beside_a_server=True) as pool:
        await check_pseudonym_keys(settings, pool)
        yield ReviewWords(
            store=PostgresWords(pool),
            k=settings.min_accounts,
            manual=settings.word_approval == "manual",
            clock=utc_now,
            new_id=uuid4,
        )


async def uplift(settings: Settings) -> Mapping[tuple[str, str], Measured]:
    """The uplift of advice over its holdout in the database that the settings name, as PostgresUplift has it."""
    async with open_pool(settings, beside_a_server=True) as pool:
        await check_pseudonym_keys(settings, pool)
        return await PostgresUplift(pool).uplift()


async def explore(settings: Settings) -> Exploring:
    """What exploration has shown in the database that the settings name, as PostgresExploration has it."""
    async with open_pool(settings, beside_a_server=True) as pool:
        await check_pseudonym_keys(settings, pool)
        return await PostgresExploration(pool, PublicationRule(settings.min_accounts)).exploring()
