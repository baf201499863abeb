"""An import from beginning to end."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

from keeper_grpc.client.credentials import Credentials
from keeper_grpc.command.signals import ended_by_signals
from keeper_grpc.importing import show
from keeper_grpc.importing.build import build
from keeper_grpc.importing.calls import Captures, connected
from keeper_grpc.importing.failure import RowRejected
from keeper_grpc.importing.files.kind import Format
from keeper_grpc.importing.files.places import Places, find_places
from keeper_grpc.importing.files.rejects import Rejects
from keeper_grpc.importing.files.rows import Source
from keeper_grpc.importing.files.state import Progress, StateFile
from keeper_grpc.importing.identity import RequestIds
from keeper_grpc.importing.mapping.mapping import Mapping
from keeper_grpc.importing.stream import Importer
from keeper_grpc.importing.survey.whole_file import survey
from keeper_grpc.importing.tally import Tally


@dataclass(frozen=True, slots=True)
class Options:
    """The options of an import. `patience`: seconds to wait for a server that answers nothing."""

    file: Path
    mapping: Path
    target: str = "127.0.0.1:50051"
    credentials: Credentials = field(default_factory=Credentials)
    file_format: Format | None = None
    state: Path | None = None
    rejects: Path | None = None
    concurrency: int = 16
    patience: float = 60.0
    from_start: bool = False
    check: bool = False


async def run(options: Options) -> Tally:
    """Import a file, or only check it, and print progress and result. A check writes no file.

    Raises ImportFailed, and CancelledError on SIGINT, SIGTERM and SIGHUP: the state is saved then.
    """
    began = time.monotonic()
    places = find_places(options.file, options.mapping, options.state, options.rejects)
    mapping = Mapping.load(options.mapping)
    source = Source(options.file, options.file_format, mapping)
    source.check()
    with ended_by_signals():
        found = await survey(mapping, source)
        if options.check:
            tally = await _go(options, found.mapping, source)
        else:
            tally = await _capture(options, found.mapping, source, places)
    show.summary(
        tally,
        time.monotonic() - began,
        sent=not options.check,
        above_header=source.above_header,
        answers=found.answers,
    )
    return tally


async def _capture(options: Options, mapping: Mapping, source: Source, places: Places) -> Tally:
    state = StateFile(places.state, options.mapping, source)
    async with connected(options.target, options.credentials, options.patience) as captures:
        start = await _start(options, mapping, source, state, captures)
        tally = await _go(
            options,
            mapping,
            source,
            start=start,
            captures=captures,
            state=state,
            report=places.rejects,
        )
        state.remove()
        tally.retries += captures.retries
    return tally


async def _go(
    options: Options,
    mapping: Mapping,
    source: Source,
    *,
    start: Progress | None = None,
    captures: Captures | None = None,
    state: StateFile | None = None,
    report: Path | None = None,
) -> Tally:
    start = start or Progress(0, 0, Tally())
    with (
        show.progress(source.size) as advance,
        Rejects(report, keep=start.rows) as rejects,
        RequestIds(mapping) as ids,
    ):
        importer = Importer(
            mapping=mapping,
            ids=ids,
            start=start,
            rejects=rejects,
            state=state,
            captures=captures,
            concurrency=options.concurrency,
            advance=advance,
        )
        return await importer.run(source)


async def _start(
    options: Options, mapping: Mapping, source: Source, state: StateFile, captures: Captures
) -> Progress:
    """The row to resume at: an earlier run's progress, if this server has that run's last row.

    A server with another, an emptied or a restored database does not have it, and gets every row.
    """
    nothing = Progress(0, 0, Tally())
    saved = None if options.from_start else state.load()
    if saved is None:
        return nothing
    with RequestIds(mapping) as ids:
        for row in source.rows():
            if row.unreadable is not None:
                continue
            request_id = ids.of(row.cells)
            if row.number == saved.probe:
                try:
                    answer = await captures(build(mapping, row.cells, request_id))
                except RowRejected:
                    return nothing
                return saved if answer.replayed else nothing
    return nothing
