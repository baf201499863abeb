from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import os
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from keeper_grpc.composition.shared import open_pool
from keeper_grpc.gen.keeper.network.v1.admin_service_pb2 import ForgetAccountRequest
from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import EnhanceInsightResponse
from keeper_grpc.one_shot.commands import rebuild, seed, uplift
from keeper_grpc.privacy.keys.key_file import KeyFileInvalid, create
from keeper_grpc.pseudonym_keys import make_pseudonyms
from keeper_grpc.settings import Settings
from keeper_grpc.storage.accounts.key_agreement import PseudonymKeyMissing, PseudonymKeyWrong
from tests import program
from tests.conftest import PostgresServer
from tests.rpc.requests import capture, new_account, question
from tests.rpc.service import running

ONE, OTHER = (base64.b64encode(bytes([fill]) * 32).decode() for fill in (1, 2))

RECORDED = "SELECT array_agg(key_id ORDER BY key_id) FROM pseudonym_keys"


@pytest.fixture
async def dsn(postgres_server: PostgresServer, template_database: str) -> AsyncIterator[str]:
    """A migrated database that no server has used."""
    async with postgres_server.database(f"TEMPLATE {template_database}") as name:
        yield postgres_server.url(name)


def settings(dsn: str, keys: str, **more: Any) -> Settings:
    """A process with these keys, as an operator writes them."""
    chosen: dict[str, Any] = {"database_url": dsn, "pseudonym_keys": keys, "port": 0} | more
    return Settings(embedder="local", **chosen)


async def start_of(chosen: Settings) -> None:
    """As much of a server's start with these settings as is about keys."""
    async with open_pool(chosen) as pool:
        await make_pseudonyms(chosen, pool)


async def start(dsn: str, keys: str) -> None:
    """As much of a server's start as is about keys. Raises what stops it."""
    await start_of(settings(dsn, keys))


async def add_account(dsn: str, keys: str, topic: str, **fields: Any) -> None:
    """Have a server with these keys learn of an account."""
    async with running(dsn, pseudonym_keys=keys) as service:
        await service.network.CapturePattern(capture(topic, **fields))


async def test_one_account_cannot_count_as_several_through_another_key(
    dsn: str, topic: str
) -> None:
    """Servers with other keys do not start: nothing is published, retries are known, forgetting works."""
    account, request_id = new_account(), str(uuid.uuid4())
    said = capture(topic, account=account, request_id=request_id)
    async with running(dsn, pseudonym_keys=f"main:{ONE}") as service:
        await service.network.CapturePattern(said)

    for key in (OTHER, base64.b64encode(bytes(range(32))).decode()):
        with pytest.raises(PseudonymKeyWrong) as caught:
            async with running(dsn, pseudonym_keys=f"main:{key}") as service:
                await service.network.CapturePattern(capture(topic, account=account))
        (line,) = str(caught.value).splitlines()
        assert line.startswith("KEEPER_PSEUDONYM_KEYS: ")
        assert "'main'" in line
        assert key not in line

    async with running(dsn, pseudonym_keys=f"main:{ONE}") as service:
        assert (await service.network.CapturePattern(said)).replayed
        answer = await service.network.EnhanceInsight(question(topic))
        assert answer.no_match_reason == EnhanceInsightResponse.NO_MATCH_REASON_NO_PATTERNS
        assert await service.value("SELECT count(*) FROM accounts WHERE NOT registered") == 2
        forgotten = await service.admin.ForgetAccount(ForgetAccountRequest(account_id=account))
        assert forgotten.found


async def test_a_check_value_recognizes_a_key_and_is_no_accounts_pseudonym(dsn: str) -> None:
    """It is the keyed hash of a label with a NUL, which no account id may hold."""
    await start(dsn, f"main:{ONE}")
    async with running(dsn, pseudonym_keys=f"main:{ONE}") as service:
        stored = await service.value("SELECT check_value FROM pseudonym_keys")
    assert stored == hmac.digest(b"\x01" * 32, b"check\0pseudonym key", hashlib.sha256)


async def test_a_refused_start_records_nothing(dsn: str) -> None:
    """A new id beside a wrong key would otherwise be held to the mistake."""
    await start(dsn, f"main:{ONE}")
    with pytest.raises(PseudonymKeyWrong):
        await start(dsn, f"next:{ONE},main:{OTHER}")
    await start(dsn, f"next:{OTHER},main:{ONE}")


async def test_of_two_servers_that_start_at_once_with_different_keys_one_serves(dsn: str) -> None:
    """Whichever comes second is refused, and the key that is recorded is that of the one that serves."""
    started: list[str] = []

    async def attempt(key: str) -> None:
        await start(dsn, f"main:{key}")
        started.append(key)

    ended = await asyncio.gather(attempt(ONE), attempt(OTHER), return_exceptions=True)
    assert sorted(type(end).__name__ for end in ended) == ["NoneType", "PseudonymKeyWrong"]
    await start(dsn, f"main:{started[0]}")


async def test_servers_that_start_at_once_with_the_same_keys_all_serve(dsn: str) -> None:
    """In whatever order each names them."""
    keys = (f"a:{ONE},b:{OTHER}", f"b:{OTHER},a:{ONE}")
    await asyncio.gather(*(start(dsn, keys[number % 2]) for number in range(4)))


async def test_a_rotation_records_the_new_key_and_keeps_the_accounts(dsn: str, topic: str) -> None:
    """An account is found under the old key, and a new one gets the new key."""
    account, request_id = new_account(), str(uuid.uuid4())
    await add_account(dsn, f"old:{ONE}", topic, account=account, request_id=request_id)
    async with running(dsn, pseudonym_keys=f"new:{OTHER},old:{ONE}") as service:
        again = capture(topic, account=account, request_id=request_id)
        assert (await service.network.CapturePattern(again)).replayed
        await service.network.CapturePattern(capture(topic))
        assert await service.value(RECORDED) == ["new", "old"]
        carried = (
            "SELECT array_agg(split_part(account_key, ':', 1) ORDER BY account_key) FROM accounts"
        )
        assert await service.value(carried) == ["new", "old"]


async def test_a_key_that_accounts_still_carry_is_missed(dsn: str, topic: str) -> None:
    """Without it these accounts would count once more and could not be forgotten."""
    await add_account(dsn, f"old:{ONE}", topic)
    with pytest.raises(PseudonymKeyMissing, match="carry the key id 'old'"):
        await start(dsn, f"new:{OTHER}")


async def test_a_key_under_another_id_than_before_is_recognized(dsn: str, topic: str) -> None:
    """The line says which id to give back."""
    await add_account(dsn, f"local:{ONE}", topic)
    with pytest.raises(PseudonymKeyMissing, match=r"'local'.*'main' here"):
        await start(dsn, f"main:{ONE}")


async def test_a_key_that_no_account_carries_any_more_may_go(dsn: str, topic: str) -> None:
    """When the last account of an old key is forgotten, the old key is dropped."""
    account = new_account()
    await add_account(dsn, f"old:{ONE}", topic, account=account)
    async with running(dsn, pseudonym_keys=f"new:{OTHER},old:{ONE}") as service:
        await service.network.CapturePattern(capture(topic))
        await service.admin.ForgetAccount(ForgetAccountRequest(account_id=account))
    await start(dsn, f"new:{OTHER}")


async def test_accounts_from_before_the_check_value_are_trusted_once_and_aloud(
    dsn: str, topic: str
) -> None:
    """The first start with a check value takes its key for theirs and warns; the next ones hold to it."""
    await add_account(dsn, f"main:{ONE}", topic)
    async with running(dsn, pseudonym_keys=f"main:{ONE}") as service:
        await service.database.execute("DELETE FROM pseudonym_keys")
    with capture_logs() as logs:
        await start(dsn, f"main:{ONE}")
    said = [line for line in logs if line["event"].startswith("pseudonym_key")]
    assert said == [{"event": "pseudonym_key_trusted", "key_id": "main", "log_level": "warning"}]
    with pytest.raises(PseudonymKeyWrong):
        await start(dsn, f"main:{OTHER}")


@pytest.mark.parametrize("command", [seed, rebuild, uplift])
async def test_a_one_shot_command_refuses_a_wrong_key_and_records_none(
    dsn: str, command: Callable[[Settings], Awaitable[object]]
) -> None:
    """A shell with another key is noticed there too, and cannot decide which key is the right one."""
    await command(settings(dsn, f"main:{OTHER}"))
    await start(dsn, f"main:{ONE}")
    with pytest.raises(PseudonymKeyWrong):
        await command(settings(dsn, f"main:{OTHER}"))
    await command(settings(dsn, f"main:{ONE}"))


async def test_a_lost_key_file_is_not_made_again(
    make_directory: Callable[[], Path], topic: str
) -> None:
    """The bundled database knows that it had one: the start asks for the backup, as do commands."""
    directory = make_directory() / "data"

    def bundled() -> Settings:
        return Settings(data_dir=directory, port=0, embedder="local", database_url=None)

    await seed(bundled())
    assert not (directory / "pseudonym.key").exists()
    await start_of(bundled())
    backup = (directory / "pseudonym.key").read_bytes()
    (directory / "pseudonym.key").unlink()
    for again in (start_of(bundled()), seed(bundled())):
        with pytest.raises(KeyFileInvalid, match=r"pseudonym\.key is missing"):
            await again
    assert not (directory / "pseudonym.key").exists()
    create(directory)
    with pytest.raises(PseudonymKeyWrong, match=r"pseudonym\.key: the key with the id 'local'"):
        await start_of(bundled())
    (directory / "pseudonym.key").write_bytes(backup + b"\n")
    await start_of(bundled())


def test_processes_that_make_a_key_file_at_once_get_one_key(tmp_path: Path) -> None:
    """The file is whole as soon as it has its name, and is never replaced; only its owner reads it."""
    made = create(tmp_path)
    assert create(tmp_path) == made
    assert [path.name for path in tmp_path.iterdir()] == ["pseudonym.key"]
    assert (tmp_path / "pseudonym.key").stat().st_mode & 0o777 == 0o600


async def test_the_command_line_says_it_in_one_line(dsn: str) -> None:
    """The exit code is 1, and neither a stack nor a key is shown."""
    await start(dsn, f"main:{ONE}")
    chosen = {"KEEPER_DATABASE_URL": dsn, "KEEPER_PSEUDONYM_KEYS": f"main:{OTHER}"}
    ended = await asyncio.to_thread(program.run, ["rebuild"], env=os.environ | chosen)
    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()
    assert line.startswith("keeper: KEEPER_PSEUDONYM_KEYS: the key with the id 'main'")
    assert OTHER not in line
