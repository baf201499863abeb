import asyncio
import os
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from keeper_grpc.simulation.measures.report import Report
from keeper_grpc.simulation.parameters import Parameters
from keeper_grpc.simulation.run import simulate
from keeper_grpc.simulation.show.plots import write_plots
from keeper_grpc.simulation.show.table import sheets

SMALL = Parameters(
    customers=(5, 9),
    days=20,
    seed=5,
    insights_a_day=4.0,
    hunch=0.95,
    outcome_after=(1, 2),
    repertoire=10,
    holdout=0.3,
    category_shares={"spa": 0.6, "gym": 0.4},
    # An author's advice would be followed instead of proving anything in so few days.
    authored=False,
    # The patterns are read every day then, which must not move the story either.
    reversals=0.3,
)
"""Two stages of ten days, with accounts that act much and alike, so that there soon is advice. In the end three
or more are of each line of business: the network's metrics leave out one of fewer."""

PLOTS = ("simulation-success.png", "simulation-truth.png", "simulation-value.png")
TURNED = "simulation-reversals.png"

COMMAND = [sys.executable, "-m", "keeper_grpc.cli", "simulate"]


def tables(report: Report) -> list[str]:
    """Everything that a run shows."""
    return [sheet.markdown() for sheet in sheets(report)]


def picture_size(path: Path) -> tuple[int, int]:
    """Width and height, as the header of a PNG file has them."""
    head = path.read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", head[16:24])
    return width, height


async def test_a_seed_gives_one_story(tmp_path: Path) -> None:
    """Two runs on two servers and databases show the same tables, to the last digit."""
    days: list[int] = []
    first = await simulate(SMALL, days.append)
    second = await simulate(SMALL, lambda _: None)

    assert tables(first) == tables(second)
    assert days == list(range(SMALL.days))
    last = first.stages[-1]
    assert first.reversals is not None
    assert first.reversals.pattern_years > 0
    assert last.growth.enhanced is not None
    assert last.growth.enhanced > 0
    assert last.knowledge.published > 0
    assert 0 < last.knowledge.found <= last.knowledge.tried
    assert last.growth.uplift.held_out.trials > 0

    assert last.metrics.enhanced_rate.value == last.growth.enhanced
    assert last.growth.authored == 0
    assert not first.claims
    assert last.metrics.cross_pollination_rate.sample_size > 0

    written = await asyncio.to_thread(write_plots, first, tmp_path)
    assert sorted(path.name for path in written) == sorted([*PLOTS, TURNED])
    assert {picture_size(path) for path in written} == {(640, 360)}


def test_the_command_prints_the_tables_and_writes_them(
    make_directory: Callable[[], Path], tmp_path: Path
) -> None:
    """Two worlds, each with its table, and both together; no other file is left behind."""
    temporary = make_directory()
    chosen = ["--customers", "2,3", "--days", "8", "--seed", "3", "--worlds", "2"]
    done = subprocess.run(
        [*COMMAND, *chosen, "--out", str(tmp_path)],
        # What an operator has set for a server must not reach the simulation.
        env=os.environ
        | {"TMPDIR": str(temporary), "KEEPER_HOLDOUT_SHARE": "1", "KEEPER_EMBEDDER": "openai"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert "The network as it grows" in done.stdout
    assert "What authors claim, beside the truth" in done.stdout
    assert "seed 3: " in done.stdout
    assert "seed 4: " in done.stdout
    assert "| seed 3 | seed 4 | together |" in (tmp_path / "simulation.md").read_text()
    assert {path.name for path in tmp_path.iterdir()} == {"simulation.md", *PLOTS}
    assert "| 2 customers | 3 customers |" in (tmp_path / "simulation.md").read_text()
    assert list(temporary.iterdir()) == []


def test_without_the_extra_the_command_says_so(
    make_directory: Callable[[], Path], tmp_path: Path
) -> None:
    """Where matplotlib is missing the table comes all the same, and a line names the extra."""
    hidden = tmp_path / "hidden"
    (hidden / "matplotlib").mkdir(parents=True)
    (hidden / "matplotlib" / "__init__.py").write_text("raise ImportError('not installed')")
    done = subprocess.run(
        [*COMMAND, "--customers", "1", "--days", "3", "--out", str(tmp_path / "out")],
        env=os.environ | {"TMPDIR": str(make_directory()), "PYTHONPATH": str(hidden)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0
    assert done.stderr == "keeper: plots need the extra: pip install 'keeper-grpc[plots]'\n"
    assert "The network as it grows" in done.stdout
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["simulation.md"]
