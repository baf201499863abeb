"""The import against a server that misbehaves on purpose: what a real one cannot be made to do."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import grpc
import pytest
import yaml

from keeper_grpc.client.channel import open_channel
from keeper_grpc.domain.errors import InvalidInput, KeeperError, StorageUnavailable, TooBusy
from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import (
    CapturePatternRequest,
    CapturePatternResponse,
)
from keeper_grpc.gen.keeper.network.v1.network_service_pb2_grpc import (
    NetworkLearningServiceServicer,
    NetworkLearningServiceStub,
)
from keeper_grpc.importing.calls import Captures
from keeper_grpc.importing.failure import ImportFailed
from keeper_grpc.importing.files.places import STATE_SUFFIX
from keeper_grpc.importing.run import Options, run
from keeper_grpc.importing.tally import Tally
from keeper_grpc.rpc import status
from tests.stand_in_server import serving

Hook = Callable[[CapturePatternRequest], Awaitable[None]]


class Server(NetworkLearningServiceServicer):
    """Takes captures, remembers them, and does first what `before` does with each."""

    def __init__(self) -> None:
        self.captured: dict[str, CapturePatternRequest] = {}
        self.calls: list[str] = []
        self._callers: set[str] = set()
        self._past: set[str] = set()
        self.before: Hook | None = None
        self.in_flight = 0
        self.most_in_flight = 0
        self.target = ""

    def count_from_now(self) -> None:
        """Count calls by other connections than those so far, and from none."""
        self._past |= self._callers
        self.calls.clear()

    async def CapturePattern(  # noqa: N802 - gRPC names the methods
        self,
        request: CapturePatternRequest,
        context: grpc.aio.ServicerContext[CapturePatternRequest, CapturePatternResponse],
    ) -> CapturePatternResponse:
        self._callers.add(context.peer())
        if context.peer() not in self._past:
            self.calls.append(request.account_id)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            if self.before is not None:
                await self.before(request)
        except KeeperError as error:
            await status.abort(context, status.to_status(error))  # type: ignore[arg-type]  # invariant
        finally:
            self.in_flight -= 1
        replayed = request.request_id in self.captured
        self.captured[request.request_id] = request
        return CapturePatternResponse(
            disposition=CapturePatternResponse.DISPOSITION_MERGED, replayed=replayed
        )


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    """A server for one test."""
    servicer = Server()  # type: ignore[abstract]  # the other calls are not its business
    async with serving(servicer) as port:
        servicer.target = f"127.0.0.1:{port}"
        yield servicer


@pytest.fixture
def options(tmp_path: Path, server: Server) -> Options:
    """Forty rows, a row an account, to be imported four at a time."""
    (tmp_path / "map.yaml").write_text(
        yaml.safe_dump(
            {
                "name": "test",
                "account_id": "{n}",
                "type": "churn_prevention",
                "business_category": "spa",
                "action": "Call",
                "confidence": 0.5,
                "outcome": {"success": {"column": "won", "equals": "yes", "fails": ["no"]}},
            }
        )
    )
    file = tmp_path / "rows.csv"
    file.write_text("n,won\n" + "".join(f"{n},yes\n" for n in range(1, 41)))
    return Options(
        file,
        tmp_path / "map.yaml",
        target=server.target,
        rejects=tmp_path / "rejects.jsonl",
        concurrency=4,
    )


def reported(options: Options) -> list[int]:
    """The rows in the report."""
    assert options.rejects
    return [json.loads(line)["row"] for line in options.rejects.read_text().splitlines()]


def saved(options: Options) -> Path:
    """Where the state is."""
    return options.file.with_name(options.file.name + STATE_SUFFIX)


def once(failing: str, error: Exception) -> Hook:
    """Raise at the first call of one account."""
    left = [error]

    async def before(request: CapturePatternRequest) -> None:
        if request.account_id == failing and left:
            raise left.pop()

    return before


async def test_every_row_is_sent_a_few_at_a_time(options: Options, server: Server) -> None:
    """All rows arrive, no more than the asked number at once, and nothing is left behind."""
    four = asyncio.Barrier(4)

    async def before(_: CapturePatternRequest) -> None:
        await four.wait()

    server.before = before

    tally = await run(options)

    assert len(server.captured) == 40
    assert server.most_in_flight == 4
    assert (tally.rows, tally.captured["merged"], tally.rejected) == (40, 40, 0)
    assert not saved(options).exists()


async def test_unavailable_server_is_asked_again_when_it_says(
    options: Options, server: Server
) -> None:
    """A call with a RetryInfo of half a second is retried after it, and the row counts once."""
    loop = asyncio.get_running_loop()
    times: list[float] = []
    fail = once("7", StorageUnavailable("the database is away", retry_after=0.5))

    async def before(request: CapturePatternRequest) -> None:
        if request.account_id == "7":
            times.append(loop.time())
        await fail(request)

    server.before = before

    tally = await run(options)

    assert times[1] - times[0] >= 0.5
    assert (tally.retries, tally.captured["merged"]) == (1, 40)


async def test_a_server_under_pressure_is_asked_again(options: Options, server: Server) -> None:
    """It says when; the import waits and loses no row."""
    server.before = once("7", TooBusy("the server has more to do than it can", retry_after=0.1))

    tally = await run(options)

    assert (tally.retries, tally.captured["merged"]) == (1, 40)


async def test_a_server_that_answers_others_is_not_given_up(server: Server) -> None:
    """Patience ends where nobody has been answered for so long: a slow server lets calls wait, and goes on."""
    others_answered = asyncio.Event()
    left = [TooBusy("the server has more to do than it can", retry_after=0.001)] * 2

    async def before(request: CapturePatternRequest) -> None:
        if request.account_id == "waits" and left:
            await others_answered.wait()
            raise left.pop()

    server.before = before
    async with open_channel(server.target, None, ()) as channel:
        captures = Captures(NetworkLearningServiceStub(channel), patience=0.0)
        waiting = asyncio.create_task(captures(CapturePatternRequest(account_id="waits")))
        await captures(CapturePatternRequest(account_id="other"))
        others_answered.set()
        # The first refusal came while another call was answered, the second one did not.
        with pytest.raises(ImportFailed, match="RESOURCE_EXHAUSTED"):
            await waiting

    assert left == []


async def test_refused_rows_are_reported_by_number_and_field(
    options: Options, server: Server
) -> None:
    """A refusal of the server and one of the mapping are in the report, in order, without cells."""
    options.file.write_text(options.file.read_text().replace("30,yes", "30,Quillmoss"))
    server.before = once("12", InvalidInput("insight.action", "holds what it must not"))

    tally = await run(options)

    assert options.rejects
    assert [json.loads(line) for line in options.rejects.read_text().splitlines()] == [
        {
            "row": 12,
            "reasons": [
                {
                    "field": "insight.action",
                    "code": "INVALID_REQUEST",
                    "description": "holds what it must not",
                }
            ],
        },
        {
            "row": 30,
            "reasons": [
                {
                    "field": "outcome.success",
                    "code": "NOT_AN_ANSWER",
                    "description": 'column "won" says neither yes nor no',
                }
            ],
        },
    ]
    assert tally.rejected == 2
    assert len(server.captured) == 38


async def test_a_defect_of_the_server_costs_no_row(options: Options, server: Server) -> None:
    """INTERNAL ends the import at its row, which the next run sends again; the report has none."""
    server.before = once("12", KeeperError("a defect"))

    with pytest.raises(ImportFailed, match=r"^row 12: .*INTERNAL.*run the same command again"):
        await run(options)
    tally = await run(options)

    assert len(server.captured) == 40
    assert (tally.rows, tally.rejected) == (40, 0)
    assert reported(options) == []


async def stopped_at(account: str, options: Options, server: Server) -> None:
    """Import until the server is gone for good at one row; the ones before it are rejected or done."""

    async def before(request: CapturePatternRequest) -> None:
        if request.account_id == "3":
            raise InvalidInput("insight.action", "holds what it must not")
        if int(request.account_id) >= int(account):
            raise StorageUnavailable("away", retry_after=2.0)

    server.before = before
    with pytest.raises(ImportFailed, match=r"UNAVAILABLE.*run the same command again"):
        await run(replace(options, patience=1.0))
    server.before = None


async def test_interrupted_import_goes_on_where_it_was(options: Options, server: Server) -> None:
    """The rows before the interruption are not sent again, but for one that proves the server."""
    await stopped_at("20", options, server)
    assert saved(options).exists()
    server.count_from_now()

    # By another connection: a call that the first run cancelled may still arrive by the old one.
    async with serving(server) as port:
        tally = await run(replace(options, target=f"127.0.0.1:{port}"))

    assert server.calls[0] == "19"
    assert sorted(map(int, server.calls[1:])) == list(range(20, 41))
    assert (tally.rows, tally.captured["merged"], tally.rejected) == (40, 39, 1)
    assert reported(options) == [3]
    assert not saved(options).exists()


async def test_server_without_the_rows_gets_them_all(options: Options, server: Server) -> None:
    """A state that another database made, or that was made before a restore, is not believed."""
    await stopped_at("20", options, server)
    server.captured.clear()

    tally = await run(options)

    assert len(server.captured) == 40
    assert tally.rows == 40


async def test_lost_state_costs_replays_only(options: Options, server: Server) -> None:
    """Without the state every row is sent again and known to the server."""
    await stopped_at("20", options, server)
    saved(options).unlink()

    tally = await run(options)

    assert len(server.captured) == 40
    assert tally.replayed + tally.captured["merged"] == 40
    assert tally.replayed >= 18


async def test_sigterm_ends_the_import_with_its_state(options: Options, server: Server) -> None:
    """A signal while calls are in flight leaves a state of what was answered."""
    sent = False

    async def before(request: CapturePatternRequest) -> None:
        nonlocal sent
        if int(request.account_id) >= 10:
            # Once: a second one may come when the import has ended, and would end these tests.
            if not sent:
                sent = True
                os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.Event().wait()

    server.before = before
    importing = asyncio.create_task(run(options))
    with pytest.raises(asyncio.CancelledError):
        await importing
    server.before = None

    # An answer that was on its way when the signal came is not known to have been given.
    assert 1 <= json.loads(saved(options).read_text())["rows"] <= 9
    assert (await run(options)).rows == 40
    assert len(server.captured) == 40


async def test_a_missing_server_is_reported_before_a_row_is_read(options: Options) -> None:
    """A wrong address ends the import with a line that names it."""
    with pytest.raises(ImportFailed, match=r"no server at 127\.0\.0\.1:1 within 0\.2 s"):
        await run(replace(options, target="127.0.0.1:1", patience=0.2))


def test_tally_survives_the_state_file() -> None:
    """What a resumed import counts on is what the interrupted one counted."""
    tally = Tally(rows=3, replayed=1)
    tally.captured["merged"] = 2

    assert Tally.from_dict(json.loads(json.dumps(tally.as_dict()))) == tally
