"""Asynchronous code: follow the emerging patterns, through restarts of the server, until it is interrupted.

python follow.py [host:port [authority.pem token-file]]
"""

import asyncio
import sys
from pathlib import Path

from keeper_client import (
    Changed,
    Credentials,
    Interrupted,
    KeeperClient,
    SnapshotComplete,
    TokenFile,
)
from keeper_client.gen.keeper.network.v1.emerging_pb2 import EmergingPattern

target, *secured = sys.argv[1:] or ["127.0.0.1:50051"]
credentials = None
if secured:
    ca, token = map(Path, secured)
    credentials = Credentials(ca=ca, token=TokenFile(token))
keeper = KeeperClient(target, credentials=credentials)


async def main() -> None:
    """Print each change on a line of its own."""
    async for event in keeper.watch_emerging():
        match event:
            case Changed(pattern=pattern):
                change = EmergingPattern.Change.Name(pattern.change)
                print(f"{change} {pattern.pattern_type}: {pattern.label}", flush=True)
            case SnapshotComplete(count=count):
                print(f"that is all of {count}; waiting for changes", flush=True)
            case Interrupted(error=error):
                print(f"interrupted: {error}", flush=True)


asyncio.run(main())
