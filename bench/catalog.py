"""How many of the insights of a history a fresh server answers with its authors' advice, and why.

    python -m bench.catalog [examples/history.jsonl]

Every insight is asked about as an account of its own asks, without the action that the history proposes. Nothing is
captured, so that no evidence can answer. For each type: the share answered because a trigger holds, because conditions
agree, and because the words alone are similar.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from google.protobuf.json_format import ParseDict

from keeper_grpc import logs
from keeper_grpc.catalog.load import load_catalog
from keeper_grpc.gen.keeper.network.v1.insight_pb2 import Identifiers, Insight
from keeper_grpc.gen.keeper.network.v1.pattern_pb2 import AuthoredAdvice
from keeper_grpc.simulation.parameters import Parameters
from keeper_grpc.simulation.play.server import Clock, serving

_WHY = {
    AuthoredAdvice.MATCHED_BY_TRIGGER: "trigger",
    AuthoredAdvice.MATCHED_BY_CONDITIONS: "conditions",
    AuthoredAdvice.MATCHED_BY_WORDS: "words",
}
_COLUMNS = ("trigger", "conditions", "words", "none")


async def answered(history: Sequence[str]) -> dict[str, Counter[str]]:
    """For each type of the insights, a line of JSON each, how many were answered for which reason."""
    found: dict[str, Counter[str]] = {}
    async with serving(Parameters(holdout=0.0), Clock(), load_catalog()) as network:
        for number, line in enumerate(history):
            row = json.loads(line)
            asked = ParseDict(row["insight"], Insight(), ignore_unknown_fields=True)
            asked.action = asked.script = ""
            named = ParseDict(row.get("identifiers", {}), Identifiers())
            answer = await network.client.enhance(f"bench-{number}", asked, identifiers=named)
            got = answer.enhanced_insight
            why = (
                _WHY[got.authored_advice.matched_by] if got.HasField("authored_advice") else "none"
            )
            found.setdefault(asked.type, Counter())[why] += 1
    return found


def main() -> None:
    """Ask, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("history", nargs="?", type=Path, default=Path("examples/history.jsonl"))
    logs.configure("error", "console")
    history = parser.parse_args().history.read_text(encoding="utf-8").splitlines()
    found = asyncio.run(answered(history))
    total: Counter[str] = sum(found.values(), Counter())
    print(f"{'type':24}{'insights':>9}" + "".join(f"{why:>12}" for why in _COLUMNS))
    for name, counts in [*sorted(found.items()), ("all", total)]:
        shares = "".join(f"{counts[why] / counts.total():>12.0%}" for why in _COLUMNS)
        print(f"{name:24}{counts.total():>9}{shares}")


if __name__ == "__main__":
    main()
