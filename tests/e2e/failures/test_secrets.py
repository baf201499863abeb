"""Secrets that are planted in every place that takes one are found nowhere else."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import grpc
import yaml

from keeper_grpc.gen.keeper.network.v1.admin_service_pb2 import ListAuditEventsRequest
from tests.conftest import PostgresServer
from tests.e2e.calls import admin, capture, network, question
from tests.e2e.conftest import StartServer
from tests.e2e.server_process import ServerProcess, environment
from tests.e2e.waiting import SOON, until
from tests.integration.openai_stand_in import OpenAIStandIn, Status
from tests.rpc.telemetry.otlp_stand_in import OtlpStandIn

PASSWORD, TOKEN, API_KEY = "dsn-hunter2-zebra", "tok-hunter2-yak", "sk-hunter2-xerus"
KEY = base64.b64encode(b"pseudonym-hunter2-wolf-and-more!").decode()
SECRETS = (PASSWORD, TOKEN, API_KEY, KEY)


def found(text: str) -> list[str]:
    """The planted secrets in a text."""
    return [secret for secret in SECRETS if secret in text]


def arguments() -> Iterator[tuple[str, str]]:
    """Every process of this machine by its arguments, which everybody may read."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                yield entry.name, (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except (OSError, UnicodeDecodeError):  # it ended
                continue


def with_password(dsn: str) -> str:
    """The same server, which trusts its socket whatever the passwords are, of the role and of a client key."""
    parts = urlsplit(dsn)
    dsn = dsn.replace(f"//{parts.netloc}", f"//{parts.username}:{PASSWORD}@", 1)
    return f"{dsn}{'&' if parts.query else '?'}sslpassword={PASSWORD}-of-a-key"


async def said(call: Any) -> str:
    """Everything that an answer tells its caller: message, metadata with the details, or the error."""
    try:
        answer = await call
        return f"{answer} {await call.initial_metadata()} {await call.trailing_metadata()}"
    except grpc.aio.AioRpcError as error:
        return f"{error.details()} {error.debug_error_string()} {error.trailing_metadata()} {error.initial_metadata()}"


async def call_everything(server: ServerProcess, embeddings: OpenAIStandIn) -> str:
    """Calls that succeed, that are refused, and that fail deeper: all that was said."""
    bearer, wrong = (("authorization", f"Bearer {each}") for each in (TOKEN, f"{TOKEN}-x"))
    texts: list[str] = []
    async with server.channel() as channel:
        client = network(channel)
        texts.append(
            await said(client.CapturePattern(capture("a", "Offer tea"), metadata=[bearer]))
        )
        texts.append(await said(client.CapturePattern(capture("a", "Offer tea"), metadata=[wrong])))
        texts.append(await said(client.CapturePattern(capture("a", "Offer tea"))))
        broken = capture("a", "Offer tea")
        broken.insight.type = f"Not {TOKEN} snake"
        texts.append(await said(client.CapturePattern(broken, metadata=[bearer])))
        embeddings.then(Status(401))
        asked = question("a", "Offer a new soap", insight_type="upsell")
        texts.append(await said(client.EnhanceInsight(asked, metadata=[bearer])))
        texts.append(
            await said(admin(channel).ListAuditEvents(ListAuditEventsRequest(), metadata=[bearer]))
        )
    return "\n".join(texts)


async def test_planted_secrets_are_in_no_log_argument_metric_trace_or_answer(
    start_server: StartServer,
    database_of_its_own: str,
    make_directory: Callable[[], Path],
) -> None:
    """The database's password, a token, an API key and the pseudonym key, of a server at its most talkative."""
    identities = make_directory() / "identities.yaml"
    entry = {
        "name": "engine",
        "roles": ["capture", "enhance"],
        "accounts": "all",
        "tokens": [{"sha256": hashlib.sha256(TOKEN.encode()).hexdigest()}],
    }
    await asyncio.to_thread(identities.write_text, yaml.safe_dump({"identities": [entry]}))
    async with OpenAIStandIn() as embeddings, OtlpStandIn() as collector:
        server = await start_server(
            database_url=with_password(database_of_its_own),
            fresh=True,
            KEEPER_PSEUDONYM_KEYS=f"main:{KEY}",
            KEEPER_EMBEDDER="openai",
            KEEPER_OPENAI_API_KEY=API_KEY,
            KEEPER_OPENAI_BASE_URL=embeddings.base_url,
            KEEPER_OPENAI_MAX_RETRIES="0",
            KEEPER_IDENTITIES_FILE=str(identities),
            KEEPER_METRICS_PORT="0",
            KEEPER_LOG_LEVEL="debug",
            OTEL_EXPORTER_OTLP_ENDPOINT=collector.endpoint,
            OTEL_BSP_SCHEDULE_DELAY="100",
        )
        answers = await call_everything(server, embeddings)
        assert f"Bearer {API_KEY}" in embeddings.authorizations  # planted, and used
        assert "grpc-status-details-bin" in answers
        # What the request itself named is the caller's own.
        assert found(answers.replace(f"Not {TOKEN} snake", "")) == []
        (serving,) = server.events("serving")
        metrics = await asyncio.to_thread(
            _get, f"http://127.0.0.1:{serving['metrics_port']}/metrics"
        )
        assert "keeper_rpc_duration_seconds" in metrics
        assert found(metrics) == []
        assert [pid for pid, line in arguments() if found(line)] == []
        await collector.has(lambda: any(collector.spans()))
        assert found("\n".join(map(str, collector.received))) == []
    assert server.events("call")
    assert found(server.log.read_text()) == []


async def test_no_program_of_a_backup_shows_the_password(
    database_of_its_own: str, postgres_server: PostgresServer, tmp_path: Path
) -> None:
    """While pg_dump runs everybody may read its arguments; nor is the password in the backup or in what is printed."""
    dsn = with_password(database_of_its_own)
    holding = await asyncpg.connect(database_of_its_own)
    try:
        async with holding.transaction():
            # pg_dump waits for this table, so that it can be looked at.
            await holding.execute("LOCK TABLE audit_events IN ACCESS EXCLUSIVE MODE")
            command = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "keeper_grpc.cli",
                "backup",
                str(tmp_path / "backup"),
                env=environment(KEEPER_DATABASE_URL=dsn, KEEPER_PSEUDONYM_KEYS=f"main:{KEY}"),
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
            # Of this database: the command asks pg_dump for its version first.
            database = urlsplit(dsn).path.removeprefix("/")
            await until(
                lambda: any(
                    re.match(r"\S*pg_dump ", line) and database in line for _, line in arguments()
                ),
                within=SOON,
                what="pg_dump runs",
            )
            assert [line for _, line in arguments() if found(line)] == []
        printed, _ = await command.communicate()
    finally:
        await holding.close()
    assert command.returncode == 0, printed
    assert found(printed.decode()) == []
    for file in ("keeper.dump", "manifest.json"):
        content = await asyncio.to_thread((tmp_path / "backup" / file).read_bytes)
        assert found(content.decode(errors="replace")) == []


def _get(url: str) -> str:
    with urllib.request.urlopen(url) as answer:  # noqa: S310 - a server of ours
        text: str = answer.read().decode()
        return text
