"""Which model a start serves with: the database's own, or none.

A setting that names another model stops the start of a database that has learned something, since its patterns
would not be found. `auto` never names one: whatever keys happen to be in the environment, the database's model
stays.
"""

from __future__ import annotations

import structlog

from keeper_grpc.domain.patterns.space import NamedModel, Recipe, Space
from keeper_grpc.embedding.cache import CachedEmbedder
from keeper_grpc.embedding.unusable import ModelUnusable
from keeper_grpc.models.make import make_model, recipe_of
from keeper_grpc.settings import Settings
from keeper_grpc.storage.database import Database
from keeper_grpc.storage.models.space import PostgresSpace
from keeper_grpc.telemetry.telemetry import Telemetry

log = structlog.get_logger()


async def open_model(
    settings: Settings, pool: Database, telemetry: Telemetry | None = None
) -> CachedEmbedder:
    """The database's model, which it has from now on if it had none. Raises ModelUnusable."""
    telemetry = telemetry or Telemetry()
    spaces = PostgresSpace(pool)
    space = await spaces.read()
    recipe = wanted_recipe(settings, space)
    try:
        embedder = await make_model(settings, recipe, pool, telemetry)
    except ModelUnusable as error:
        if space is None:
            raise
        raise ModelUnusable(
            f"{error} (the database's patterns belong to {space.present.model}; "
            "`keeper reembed --to local` moves them)"
        ) from error
    try:
        await _agree(spaces, space, NamedModel(embedder.model, recipe))
    except BaseException:
        await embedder.aclose()
        raise
    return embedder


def wanted_recipe(settings: Settings, space: Space | None) -> Recipe:
    """The database's model, unless the settings name one."""
    named = recipe_of(settings)
    if space is None or _names(settings, space.present.recipe):
        return named
    return space.present.recipe


def _names(settings: Settings, present: Recipe) -> bool:
    """Whether the settings say which model they want, where the database has this one."""
    if settings.embedder == "auto":
        # A directory stands for the bundled model; where another kind is the database's, it says nothing.
        return settings.local_model_dir is not None and present.embedder in ("local", "onnx")
    if settings.embedder == present.embedder == "openai":
        # The kind alone names no model of OpenAI's.
        return bool(settings.model_fields_set & {"openai_model", "openai_dimensions"})
    return True


async def _agree(spaces: PostgresSpace, space: Space | None, made: NamedModel) -> None:
    """Record the model of a new database, and refuse one that is not the database's."""
    present = space.present.model if space else made.model
    claimed = await spaces.claim(made if space is None else space.present)
    if claimed.present.model != made.model:
        present = claimed.present.model
    if present != made.model:
        if await spaces.replace_unused(made):
            log.info("embedding_model_replaced", model=made.model, before=present)
        else:
            raise ModelUnusable(
                f"the database's patterns belong to {present}, and the settings name {made.model}: unset "
                "KEEPER_EMBEDDER to go on with that, or move the patterns with `keeper reembed`"
            )
    elif claimed.next is not None or claimed.unsettled:
        log.warning(
            "reembed_unfinished",
            model=present,
            next_model=claimed.next.model if claimed.next else None,
            remedy="keeper reembed",
        )
    if strays := await spaces.strays():
        log.warning(
            "patterns_of_another_model", patterns=strays, model=made.model, remedy="keeper reembed"
        )
