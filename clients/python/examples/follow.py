"""Asynchronous code: follow the emerging patterns, through restarts of the server, until it is interrupted."""

import asyncio
import sys

from keeper_client import Changed, Interrupted, KeeperClient, SnapshotComplete
from keeper_client.gen.keeper.network.v1.emerging_pb2 import EmergingPattern

keeper = KeeperClient(sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:50051")


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
