"""Every shell block of every document is run here, or by the test that is named, or says why it is not."""

from __future__ import annotations

import re
import shutil
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import ListPatternsRequest
from tests.e2e.calls import capture, network
from tests.e2e.conftest import MakeDirectory, StartServer, starter
from tests.e2e.deliverables.documented import PAGES, Block, blocks, run
from tests.e2e.server_process import REPOSITORY, STOP, ServerProcess


@dataclass(frozen=True)
class Run:
    """It is run beside a server, and says this. until_said: it goes on for ever."""

    says: str
    until_said: bool = False


@dataclass(frozen=True)
class Elsewhere:
    """This test runs the same."""

    test: str


@dataclass(frozen=True)
class Never:
    """No test runs it, because of this."""

    because: str


ACTION = "Offer a warm towel"
"""Of the pattern that the server shows."""

COMMANDS, RPC, HERE = "tests/e2e/commands", "tests/rpc", "tests/e2e/deliverables"

ALL_OF_A_PAGE = {
    "README.md": Elsewhere(f"{HERE}/test_readme.py"),
    "docs/grpcurl.md": Elsewhere(f"{HERE}/test_grpcurl_page.py"),
    "docs/performance.md": Never("benches run for minutes, and measure this machine"),
}

SERVES = Elsewhere("tests/e2e/server_process.py")
DRILL = Elsewhere(f"{RPC}/accounts/test_key_rotation_drill.py")
BACKUP = Elsewhere(f"{COMMANDS}/test_backup.py")

BLOCKS: dict[tuple[str, str], Run | Elsewhere | Never] = {
    ("CONTRIBUTING.md", "make setup"): Never("it is what this environment was made with"),
    ("docs/api.md", "go get -tool google.golang.org/protobuf/cmd/protoc-gen-go"): Elsewhere(
        f"{HERE}/test_consumers.py"
    ),
    ("docs/dashboard.md", "keeper dashboard"): Elsewhere("tests/e2e/dashboard/test_command.py"),
    ("docs/emerging.md", "python bench/emerging.py"): Never("benches run for minutes"),
    ("docs/http.md", "curl --silent -H"): Run('"field": "pattern_id"'),
    ("docs/http.md", r"printf '\0\0\0\0\2{}' | curl"): Run("snapshotComplete", until_said=True),
    ("docs/import.md", "keeper import history.csv --suggest"): Elsewhere(
        f"{COMMANDS}/test_import.py"
    ),
    ("docs/import.md", "keeper import bookings.csv --template"): Elsewhere(
        "tests/unit/importing/test_templates.py"
    ),
    ("docs/import.md", "keeper backtest"): Elsewhere(f"{COMMANDS}/test_backtest.py"),
    ("docs/kubernetes.md", "kubectl "): Never("it needs a cluster"),
    ("docs/load-balancing.md", "envoy --mode validate"): Elsewhere(f"{HERE}/test_envoy.py"),
    ("docs/models.md", "keeper reembed"): Elsewhere(f"{COMMANDS}/test_reembed.py"),
    ("docs/operations.md", "export KEEPER_DATA_DIR=/var/lib/keeper"): Never(
        "it says where the data are: tests have directories of their own"
    ),
    ("docs/operations.md", "keeper serve"): SERVES,
    ("docs/operations.md", "keeper migrate"): Elsewhere(f"{COMMANDS}/test_migrate.py"),
    ("docs/operations.md", "keeper migrate --check"): Run("nothing is pending"),
    ("docs/operations.md", "keeper seed"): Run("catalog: "),
    ("docs/operations.md", "keeper rebuild"): Elsewhere(f"{COMMANDS}/test_operators_commands.py"),
    ("docs/operations.md", "keeper uplift"): Run("no held-out question has an outcome yet"),
    ("docs/operations.md", "keeper explore"): Run("too few owners"),
    ("docs/operations.md", "keeper words"): Run("no word is used by nearly enough owners"),
    ("docs/operations.md", "kill -TERM"): Elsewhere(
        f"{HERE}/test_documented_commands.py"  # at the end, since the server is gone then
    ),
    ("docs/operations.md", "grpcurl -plaintext"): Run('"status": "SERVING"'),
    ("docs/operations.md", "keeper health"): Run("SERVING"),
    ("docs/operations.md", "docker compose up"): Never("it needs a container engine"),
    ("docs/operations.md", "KEEPER_METRICS_PORT=9464 keeper serve"): Elsewhere(
        f"{RPC}/telemetry/test_metrics.py"
    ),
    ("docs/operations.md", "curl -s http://127.0.0.1:9464/metrics"): Run("keeper_rpc_"),
    ("docs/operations.md", "OTEL_EXPORTER_OTLP_ENDPOINT"): Elsewhere(
        f"{RPC}/telemetry/test_traces.py"
    ),
    ("docs/operations.md", "keeper doctor"): Elsewhere(f"{COMMANDS}/test_doctor.py"),
    ("docs/operations.md", "keeper backup"): BACKUP,
    ("docs/operations.md", "keeper restore"): BACKUP,
    ("docs/operations.md", "KEEPER_DATA_DIR=/var/tmp/drill keeper restore"): Elsewhere(
        f"{RPC}/operations/test_backup_drill.py"
    ),
    ("docs/operations.md", "cp -a"): Never("it copies the directory of a server that is stopped"),
    ("docs/operations.md", "OLD="): DRILL,
    ("docs/operations.md", 'export KEEPER_PSEUDONYM_KEYS="$OLD,$NEW"'): DRILL,
    ("docs/operations.md", 'export KEEPER_PSEUDONYM_KEYS="$NEW,$OLD"'): DRILL,
    ("docs/operations.md", 'export KEEPER_PSEUDONYM_KEYS="$NEW"'): DRILL,
    ("docs/operations.md", "curl --fail http://127.0.0.1:9464/readyz"): Run("ok"),
    ("docs/operations.md", "pip install 'keeper-grpc[archive]'"): Never(
        "it downloads an extra, which the development environment has"
    ),
    ("docs/releasing.md", "make released"): Elsewhere(f"{HERE}/test_contract.py"),
    ("docs/releasing.md", "KEEPER_TEST_IMAGE="): Elsewhere(f"{HERE}/test_image.py"),
    ("docs/releasing.md", "make dist chart sbom"): Elsewhere(f"{HERE}/test_release.py"),
    ("docs/releasing.md", "git tag"): Never("it makes a release"),
    ("docs/scaling.md", "psql -c"): Never("it needs a Citus cluster"),
    ("docs/scaling.md", "KEEPER_DATABASE_URL=$NEW keeper migrate"): Elsewhere(
        "tests/e2e/failures/test_move.py"
    ),
    ("docs/scaling.md", "KEEPER_TEST_CITUS_DSN="): Never("it needs a Citus cluster"),
    ("docs/security.md", "openssl req -x509"): Elsewhere(f"{HERE}/test_security_page.py"),
    ("docs/security.md", "mv server.pem.new"): Elsewhere(f"{HERE}/test_security_page.py"),
    ("docs/security.md", "keeper tokens hash"): Elsewhere(f"{HERE}/test_security_page.py"),
    ("docs/security.md", "keeper metrics"): Elsewhere(f"{HERE}/test_security_page.py"),
    ("docs/security.md", "KEEPER_JWT_KEYS="): Never("they are settings, not commands"),
    ("docs/security.md", "openssl req -newkey"): Elsewhere(f"{HERE}/test_security_page.py"),
    ("docs/security.md", "keeper patterns"): Elsewhere(f"{HERE}/test_security_page.py"),
    ("docs/systemd.md", "useradd"): Never("it makes a user of this machine"),
    ("docs/systemd.md", "(umask 077; printf"): Never("it writes into /etc"),
    ("docs/simulation.md", "make setup"): Elsewhere(f"{COMMANDS}/test_simulate.py"),
    ("docs/terminal.md", "http_proxy="): Elsewhere(f"{COMMANDS}/test_terminal.py"),
    ("docs/terminal.md", "keeper metrics --dates"): Run("2025-11-15"),
    ("docs/terminal.md", "keeper metrics"): Run("patterns"),
    ("docs/terminal.md", "keeper patterns --type"): Run(ACTION),
    ("docs/terminal.md", "keeper pattern a770385e"): Run(ACTION),
    ("docs/terminal.md", "keeper pattern e60794fd"): Run("3 owners"),
    ("docs/terminal.md", "keeper watch"): Run("KPI", until_said=True),
    ("docs/terminal.md", "keeper audit"): Run(""),
    ("docs/terminal.md", "keeper patterns --category spa --json"): Run(ACTION),
    ("clients/go/README.md", "go run ./examples/capture"): Elsewhere(
        "tests/e2e/clients/test_go.py"
    ),
    ("clients/python/README.md", "pip install keeper-client"): Elsewhere(
        "tests/e2e/clients/test_python.py"
    ),
    ("clients/typescript/README.md", "npm ci"): Elsewhere("tests/e2e/clients/test_typescript.py"),
}
"""By page and by how the first line begins; the longest beginning that fits counts."""


def entry_of(block: Block) -> tuple[str, str] | None:
    """The key of the table's entry for a block."""
    page, line = block.key
    fitting = [key for key in BLOCKS if key[0] == page and line.startswith(key[1])]
    return max(fitting, key=lambda key: len(key[1]), default=None)


DOCUMENTED = [block for page in PAGES for block in blocks(page) if block.page not in ALL_OF_A_PAGE]

RUNS = [
    (block, how)
    for block in DOCUMENTED
    if (key := entry_of(block)) is not None and isinstance(how := BLOCKS[key], Run)
]


def test_every_block_is_run_or_says_why_not() -> None:
    """A new block without an entry fails, and so does an entry whose block is gone."""
    unknown = [block.key for block in DOCUMENTED if entry_of(block) is None]
    used = Counter(key for block in DOCUMENTED if (key := entry_of(block)) is not None)

    assert unknown == []
    assert [key for key in BLOCKS if key not in used] == []


@pytest.mark.parametrize(
    "how", [*ALL_OF_A_PAGE.values(), *BLOCKS.values()], ids=lambda how: type(how).__name__
)
def test_what_an_entry_names_is_there(how: Run | Elsewhere | Never) -> None:
    """The test exists; who runs nothing has a reason."""
    if isinstance(how, Elsewhere):
        assert (REPOSITORY / how.test).is_file()
    if isinstance(how, Never):
        assert how.because


@dataclass(frozen=True)
class Beside:
    """The server that blocks are run beside, its ports, and a pattern that it shows."""

    server: ServerProcess
    metrics_port: int
    pattern_id: str

    def here(self, text: str) -> str:
        """A block, with the documented addresses and ids replaced by those of here."""
        for there, here in (
            ("127.0.0.1:50051", self.server.address),
            ("127.0.0.1:8081", f"127.0.0.1:{self.server.http_port}"),
            ("127.0.0.1:9464", f"127.0.0.1:{self.metrics_port}"),
        ):
            text = text.replace(there, here)
        # To a terminal grep writes each line at once, and to anything else only when asked.
        text = text.replace("| grep KPI", "| grep --line-buffered KPI")
        text = re.sub(r"(?<=keeper pattern )[0-9a-f-]{36}", self.pattern_id, text)
        clients = r"\bkeeper (metrics|patterns|pattern|watch|audit)\b"
        return re.sub(clients, rf"\g<0> --target {self.server.address}", text)

    @property
    def variables(self) -> dict[str, str]:
        """The settings of the server, which the commands on its machine have, too."""
        return {
            "KEEPER_DATA_DIR": self.server.data_dir,
            "KEEPER_PORT": str(self.server.port),
            "COLUMNS": "160",
        }


@pytest.fixture(scope="module")
async def beside(make_directory: MakeDirectory) -> AsyncIterator[Beside]:
    """One server for all blocks, with a pattern of three spas, and one of three gyms."""
    async with starter(make_directory) as start:
        server = await start(KEEPER_HTTP_ADDRESS="127.0.0.1:0", KEEPER_METRICS_PORT="0")
        async with server.channel() as channel:
            for number in range(3):
                await network(channel).CapturePattern(capture(f"spa-{number}", ACTION))
                elsewhere = capture(f"gym-{number}", "Offer a free class")
                elsewhere.insight.business_category = "gym"
                await network(channel).CapturePattern(elsewhere)
            listed = await network(channel).ListPatterns(ListPatternsRequest(search=ACTION))
        (pattern,) = listed.patterns
        (event,) = server.events("serving")
        yield Beside(server, event["metrics_port"], pattern.pattern_id)


@pytest.mark.parametrize(
    ("block", "how"), RUNS, ids=[f"{block.page}: {block.key[1][:40]}" for block, _ in RUNS]
)
async def test_a_block_does_what_its_page_says(
    beside: Beside, tmp_path: Path, block: Block, how: Run
) -> None:
    """In a directory with nothing in it, as one script."""
    if "| jq " in block.text and shutil.which("jq") is None:
        pytest.skip("there is no jq")
    until = how.says if how.until_said else ""
    code, said = await run(beside.here(block.text), tmp_path, beside.variables, until)

    assert how.says in said
    assert code == (-1 if how.until_said else 0), said


async def test_the_documented_signal_drains_the_server(
    start_server: StartServer, tmp_path: Path
) -> None:
    """The lock file leads to the process, which ends with 0."""
    server = await start_server()
    (block,) = (block for block in DOCUMENTED if block.key[1].startswith("kill -TERM"))

    code, said = await run(block.text, tmp_path, {"KEEPER_DATA_DIR": server.data_dir})

    assert (code, said) == (0, "")
    assert await server.ended(STOP) == 0
    assert server.events("draining")
