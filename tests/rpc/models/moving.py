"""What the tests of a move to another embedding model have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from keeper_grpc.models import reembed
from keeper_grpc.settings import Settings
from keeper_grpc.usecases.models.move import Moved
from tests.rpc.service import PSEUDONYM_KEYS, Service

LOCAL = "use-multilingual-3/0.2.1/sentence-1"
MINILM = "all-MiniLM-L6-v2-int8/1.0.0/sentence-1"


class Watched:
    """Progress that a test looks at; `on_part` is called when a part of the move begins."""

    def __init__(self, on_part: Callable[[str], None] = lambda part: None) -> None:
        self.parts: list[str] = []
        self.totals: dict[str, int] = {}
        self.counts: dict[str, int] = {}
        self._on_part = on_part

    def begin(self, part: str, total: int) -> None:
        """Remember the part."""
        self.parts.append(part)
        self.totals.setdefault(part, total)
        self._on_part(part)

    def done(self, count: int) -> None:
        """Count within the part."""
        part = self.parts[-1]
        self.counts[part] = self.counts.get(part, 0) + count


def settings(database_url: str, **chosen: Any) -> Settings:
    """The settings of a command on the test's database."""
    return Settings(
        **{
            "database_url": database_url,
            "pseudonym_keys": PSEUDONYM_KEYS,
            "embedder": "auto",
            "openai_api_key": None,
            "open_accounts": True,
        }
        | chosen
    )


async def move(
    database_url: str, to: str, progress: Watched | None = None, **chosen: Any
) -> tuple[str, Moved]:
    """Move the database, as the command does."""
    force = chosen.pop("force", False)
    return await reembed.reembed(
        settings(database_url, **chosen), to, progress or Watched(), force=force
    )


async def counted(service: Service) -> Mapping[str, Any]:
    """What is counted of every pattern, and what it is shown as: everything but where it lies."""
    rows = await service.database.fetch(
        """
        SELECT id, pattern_type, business_category, context, action_template, occurrence_count,
               success_count, account_count, confidence_score, shown_action, shown_context,
               first_discovered, last_validated, prior_successes, prior_failures,
               (SELECT count(*) FROM observations o WHERE o.scope_id = p.scope_id AND o.pattern_id = p.id) AS observations,
               (SELECT jsonb_agg(to_jsonb(a) - 'pattern_id' ORDER BY account_key)
                  FROM pattern_accounts a WHERE a.scope_id = p.scope_id AND a.pattern_id = p.id) AS accounts,
               (SELECT jsonb_agg(to_jsonb(f) - 'pattern_id' ORDER BY facet, account_key)
                  FROM pattern_facets f WHERE f.scope_id = p.scope_id AND f.pattern_id = p.id) AS facets,
               (SELECT jsonb_agg(template ORDER BY template)
                  FROM pattern_scripts s WHERE s.scope_id = p.scope_id AND s.pattern_id = p.id) AS scripts
          FROM network_patterns p ORDER BY id
        """
    )
    return {str(row["id"]): dict(row) for row in rows}


async def models_of(service: Service, table: str) -> set[str]:
    """The models that a table's vectors belong to."""
    rows = await service.database.fetch(f"SELECT DISTINCT embedding_model FROM {table}")  # noqa: S608 - a table of ours
    return {row["embedding_model"] for row in rows}
