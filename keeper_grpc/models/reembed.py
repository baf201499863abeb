"""`keeper reembed`: moves the database to another embedding model, beside its servers or alone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from keeper_grpc.composition.shared import counting_of, open_pool
from keeper_grpc.domain.patterns.space import Recipe
from keeper_grpc.embedding.cache import CachedEmbedder
from keeper_grpc.local_operator import record
from keeper_grpc.models.make import make_model, recipe_of
from keeper_grpc.operator_error import OperatorError
from keeper_grpc.pseudonym_keys import check_pseudonym_keys
from keeper_grpc.settings import Settings
from keeper_grpc.storage.database import Database
from keeper_grpc.storage.evidence.rebuild import PostgresRebuild
from keeper_grpc.storage.models.moving import PostgresMove
from keeper_grpc.telemetry.telemetry import Telemetry
from keeper_grpc.usecases.models.move import Moved, MoveModel, Progress


class MoveRefused(OperatorError):
    """The move cannot begin. The message says what to do."""


async def reembed(
    settings: Settings, to: str | None, progress: Progress, *, force: bool
) -> tuple[str, Moved]:
    """Move to the model of this kind, or to the one that the settings name; its id, and what was done."""
    async with open_pool(settings, beside_a_server=True) as pool:
        await check_pseudonym_keys(settings, pool)
        # As the servers count, whatever this shell's settings say.
        counting = await PostgresRebuild(pool).counted_with(counting_of(settings))
        move = PostgresMove(pool, counting)
        recipe = _recipe(settings, to)
        async with _model(settings, recipe, pool) as embedder:
            await _agree(move, embedder.model)
            await record(pool, "reembed_begun", {})
            moved = await MoveModel(store=move, embedder=embedder, progress=progress, force=force)(
                recipe
            )
            counts = {"patterns": moved.patterns, "merged": moved.merged}
            await record(pool, "reembed", counts)
        return embedder.model, moved


async def cancel(settings: Settings) -> str | None:
    """Give up a move that has not switched yet; the model that stays, None when there is no such move."""
    async with open_pool(settings, beside_a_server=True) as pool:
        move = PostgresMove(pool, counting_of(settings))
        space = await move.space()
        if space is None or space.next is None:
            return None
        await move.cancel()
        await record(pool, "reembed_cancelled", {})
        return space.present.model


def _recipe(settings: Settings, to: str | None) -> Recipe:
    """The recipe of a kind, with what the settings say about models of that kind."""
    return recipe_of(settings if to is None else settings.model_copy(update={"embedder": to}))


@asynccontextmanager
async def _model(
    settings: Settings, recipe: Recipe, pool: Database
) -> AsyncIterator[CachedEmbedder]:
    embedder = await make_model(settings, recipe, pool, Telemetry())
    try:
        yield embedder
    finally:
        await embedder.aclose()


async def _agree(move: PostgresMove, target: str) -> None:
    space = await move.space()
    if space is not None and space.next is not None and space.next.model != target:
        raise MoveRefused(
            f"a move to {space.next.model} is under way: go on with that, or `keeper reembed --cancel` first"
        )
    if space is not None and space.unsettled and space.present.model != target:
        raise MoveRefused(
            f"the move to {space.present.model} is not finished: run `keeper reembed` for that model first"
        )
