from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest

from bench.chaos import proof
from bench.chaos.faults import Kind
from bench.chaos.run import Options, Report, chaos
from keeper_grpc.storage.embedded.supervisor import EmbeddedPostgres
from tests.e2e.conftest import MakeDirectory

BRIEFLY = Options(
    seed=1,
    seconds=600.0,
    most_faults=len(Kind),
    servers=2,
    callers=6,
    calls=40,
    longest_away=1.0,
    longest_pause=0.0,
)
"""One fault of each kind, and so many calls between two of them: time decides nothing."""


@asynccontextmanager
async def left_by(place: Path) -> AsyncIterator[asyncpg.Connection]:
    """The database that a run has left, changed for as long as the block lasts."""
    async with EmbeddedPostgres(place / "database") as postgres:
        connection = await asyncpg.connect(postgres.dsn)
        try:
            change = connection.transaction()
            await change.start()
            yield connection
            await change.rollback()
        finally:
            await connection.close()


@pytest.fixture(scope="module")
async def ran(make_directory: MakeDirectory) -> tuple[Path, Report]:
    """A short run, and where it was."""
    place = make_directory()
    return place, await chaos(BRIEFLY, place)


@pytest.mark.timeout(900)
async def test_nothing_is_lost_or_doubled_whatever_is_killed(ran: tuple[Path, Report]) -> None:
    """Every kind of fault under load: the ledger, the counts, the histories and the servers agree at the end."""
    _, report = ran
    assert report.violations == []
    assert report.faults.keys() == set(Kind)
    assert report.book.refusals.total() > 0, "nothing was hit"


@pytest.mark.timeout(900)
async def test_the_proof_fails_where_something_is_lost_or_doubled(ran: tuple[Path, Report]) -> None:
    """What it passed is not passed once a row is lost, made up, or counted wrongly."""
    place, report = ran
    for change, complaint in (
        (
            (
                "DELETE FROM outcome_requests WHERE request_id ="
                " (SELECT request_id FROM outcome_requests WHERE NOT revises LIMIT 1)"
            ),
            "1 lost outcomes",
        ),
        (
            (
                "UPDATE outcome_requests SET request_id = gen_random_uuid() WHERE request_id ="
                " (SELECT request_id FROM outcome_requests LIMIT 1)"
            ),
            "1 outcomes that nobody sent",
        ),
        (
            "UPDATE observations SET success = NOT success WHERE id = (SELECT id FROM observations LIMIT 1)",
            "outcomes that say something else",
        ),
    ):
        async with left_by(place) as connection:
            assert not await proof.ledger(connection, report.book)
            await connection.execute(change)
            assert complaint in " ".join(await proof.ledger(connection, report.book))
    async with left_by(place) as connection:
        counted = await proof.derived(connection)
        await connection.execute(
            "UPDATE pattern_accounts SET occurrence_count = occurrence_count + 1 WHERE account_key ="
            " (SELECT account_key FROM pattern_accounts LIMIT 1)"
        )
        assert list(proof.corrected(counted, await proof.derived(connection)))
        await connection.execute(
            "UPDATE network_patterns SET embedding_weight = embedding_weight + 1"
        )
        assert await proof.patterns(connection)
