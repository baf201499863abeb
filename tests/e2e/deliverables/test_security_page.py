"""docs/security.md, command by command: an authority, a token, a certificate of a client."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from tests.e2e.conftest import MakeDirectory, StartServer
from tests.e2e.deliverables.documented import blocks, run
from tests.e2e.server_process import REPOSITORY, ServerProcess
from tests.rpc.access.identities import write


def text_of(beginning: str, server: ServerProcess | None = None) -> str:
    """The one block that begins so, with the server's own port."""
    (text,) = (
        block.text
        for block in blocks(REPOSITORY / "docs/security.md")
        if block.text.startswith(beginning)
    )
    return text.replace("localhost:50051", f"localhost:{server.port}") if server else text


async def done(text: str, directory: Path, **variables: str) -> str:
    """What a block prints, which must succeed."""
    code, said = await run(text, directory, variables)
    assert code == 0, said
    return said


def hash_in(entry: str) -> str:
    """The hash of the entry that `keeper tokens hash` prints."""
    found = re.search(r"\b[0-9a-f]{64}\b", entry)
    assert found is not None, entry
    return found[0]


async def test_the_page_leads_to_a_server_that_knows_who_calls(
    start_server: StartServer, make_directory: MakeDirectory
) -> None:
    """A token's holder reads, an operator looks at the audit log, an engine shows its certificate."""
    directory = make_directory()
    await done(text_of("openssl req -x509"), directory)
    token = text_of("keeper tokens hash")
    tokens = {
        name: hash_in(await done(token.replace("dashboard", name), directory))
        for name in ("dashboard", "operator")
    }
    roles = {"dashboard": ["observe"], "operator": ["operate", "observe"]}
    identities = write(
        directory / "identities.yaml",
        *(
            {"name": name, "roles": roles[name], "accounts": "all", "tokens": [{"sha256": digest}]}
            for name, digest in tokens.items()
        ),
        {"name": "engine", "roles": ["observe"], "certificates": ["spiffe://keeper/engine"]},
    )
    settings: dict[str, Any] = {
        "KEEPER_TLS_CERTIFICATE": str(directory / "server.pem"),
        "KEEPER_TLS_KEY": str(directory / "server.key"),
        "KEEPER_IDENTITIES_FILE": str(identities),
    }
    for file in ("server.pem", "server.key", "ca.pem"):
        (directory / file).chmod(0o644)
    server = await start_server(data_dir=directory / "data", **settings)

    said = await done(text_of("keeper metrics", server), directory)
    (directory / "server.pem.new").write_bytes((directory / "server.pem").read_bytes())
    renewed = await done(text_of("mv server.pem.new", server), directory)

    assert said.startswith("whole network, ")
    assert "\nserial=" in renewed

    await done(text_of("openssl req -newkey"), directory)
    mutual = settings | {"KEEPER_TLS_CLIENT_CA": str(directory / "ca.pem")}
    strict = await start_server(**mutual)
    answered = await done(
        text_of("keeper patterns", strict),
        directory,
        **mutual,
        KEEPER_PORT=str(strict.port),
        KEEPER_DATA_DIR=strict.data_dir,
    )

    assert "SERVING" in answered
