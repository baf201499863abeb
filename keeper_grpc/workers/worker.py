"""One worker: `python -m keeper_grpc.workers.worker PLACE`, which only the parent starts."""

from __future__ import annotations

import asyncio
import sys

from keeper_grpc import logs
from keeper_grpc.operator_error import OperatorError
from keeper_grpc.process import serve
from keeper_grpc.settings import Settings
from keeper_grpc.workers.place import Worker


def main(place: str) -> int:
    """Serve; the exit status."""
    worker = Worker.from_json(place)
    settings = worker.settings(Settings.from_environment())
    logs.configure(settings.log_level, settings.log_format, worker=worker.number)
    try:
        asyncio.run(serve(settings, worker))
    except OperatorError as error:
        print(f"keeper: worker {worker.number}: {error}", file=sys.stderr)  # noqa: T201 - as the command does
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
