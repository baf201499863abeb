"""How long captures wait while a network is moved to another embedding model, and what a move costs.

    python -m bench.reembed [--patterns 10000] [--to minilm]

On a bundled server of its own: a network of so many patterns, each of one observation, and as many sightings
as patterns. The switch is the only part that captures wait for.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import tempfile
import time
from pathlib import Path

from keeper_grpc.composition.shared import open_pool
from keeper_grpc.domain.patterns.pattern import Scope
from keeper_grpc.models.choice import open_model
from keeper_grpc.models.reembed import reembed
from keeper_grpc.settings import Settings
from keeper_grpc.storage.patterns.versions import open_scope

FILL = """
    WITH said AS (
        SELECT n, gen_random_uuid() AS id, 'type_' || n % 6 AS kind, 'line_' || n % 4 AS category,
               'Offer option number ' || n || ' to the guest' AS action,
               (SELECT array_agg(sin(n * d + 1.0) / sqrt(768)) FROM generate_series(1, 1536) d)::vector
                   AS vector
          FROM generate_series(1, $1::integer) n
    ), place AS (
        SELECT said.*, scope_id FROM said
          JOIN scopes ON pattern_type = kind AND business_category = category
    ), account AS (
        INSERT INTO accounts (account_key, business_category, joined_time)
        VALUES ('bench', 'spa', now()) RETURNING account_key
    ), pattern AS (
        INSERT INTO network_patterns (id, scope_id, pattern_type, business_category, embedding_model,
               pattern_embedding, context, action_template, first_discovered)
        SELECT id, scope_id, kind, category, $2, vector, '{}', action, now() FROM place RETURNING id
    ), action AS (
        INSERT INTO pattern_actions (scope_id, pattern_id, action_embedding)
        SELECT scope_id, pattern.id, vector FROM place JOIN pattern USING (id)
    ), sighting AS (
        INSERT INTO sightings (scope_id, account_key, pattern_type, business_category, embedding_model, embedding,
               rendered, rendered_hash, confidence, potential_value, seen_time)
        SELECT scope_id, 'bench', kind, category, $2, vector, action, sha256(action::bytea), 0.5, 0, now()
          FROM place
    )
    SELECT count(*) FROM account, pattern
"""


class Timed:
    """The seconds of each part."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._part = ""
        self._began = time.perf_counter()

    def begin(self, part: str, _total: int) -> None:
        """End the part before."""
        now = time.perf_counter()
        if self._part:
            self.seconds[self._part] = self.seconds.get(self._part, 0.0) + now - self._began
        self._part, self._began = part, now

    def done(self, count: int) -> None:
        """Progress is not what is measured."""


async def measure(data_dir: Path, patterns: int, to: str) -> None:
    """Fill, move, report."""
    settings = Settings(
        data_dir=data_dir,
        pseudonym_keys=f"bench:{base64.b64encode(bytes(32)).decode()}",
        embedder="auto",
        openai_api_key=None,
    )
    async with open_pool(settings) as pool:
        embedder = await open_model(settings, pool)
        async with pool.connection() as connection:
            await connection.execute("SET statement_timeout = 0")
            for number in range(24):
                place = Scope(f"type_{number % 6}", f"line_{number % 4}", embedder.model)
                await open_scope(connection, place)
            await connection.fetchval(FILL, patterns, embedder.model, timeout=3600)
        await embedder.aclose()
    timed = Timed()
    model, moved = await reembed(settings, to, timed, force=False)
    timed.begin("", 0)
    print(f"{model}: {moved.patterns} patterns, {moved.sightings} sightings, {moved.merged} merged")
    for part, seconds in timed.seconds.items():
        print(f"{part:12} {seconds:8.1f} s")


def main() -> None:
    """Reads the command line and measures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--patterns", type=int, default=10_000)
    parser.add_argument("--to", choices=("minilm", "local"), default="minilm")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        # The bundled server runs as another user where we are root.
        Path(directory).chmod(0o755)
        asyncio.run(measure(Path(directory) / "data", arguments.patterns, arguments.to))


if __name__ == "__main__":
    main()
