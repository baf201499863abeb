"""Configures logging: JSON lines, or readable ones on a terminal."""

from __future__ import annotations

import logging
import re
import sys
from typing import Literal

import structlog


def configure(
    level: str, style: Literal["auto", "json", "console"], *, worker: int | None = None
) -> None:
    """Set up structlog on stderr. Libraries' own log lines (grpc, asyncio) go the same way.

    `worker`: the number of this process among several that write to the same place, which its lines then carry.

    Their messages may quote the data that caused them, so only warnings and errors are logged, and of these only
    the library's own words.
    """
    console = style == "console" or (style == "auto" and sys.stderr.isatty())
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        *([] if worker is None else [_of_worker(worker)]),
    ]
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer()
        if console
        else structlog.processors.JSONRenderer(separators=(",", ":"))
    )
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, _without_content],
            use_get_message=False,  # the template, without what would be filled in
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)


def _of_worker(number: int) -> structlog.typing.Processor:
    def add(_: object, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        event.setdefault("worker", number)
        return event

    return add


_VALUES = re.compile(r"""[\n\r'"`<{=:]""")
"""The marks behind which libraries put values: asyncio's `Task exception was never retrieved` goes on,
in a new line, with `future: <Task ... exception=ValueError('...')>`."""


def _without_content(
    _: object, __: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """Keep the logger, the message's own words and the exception's type: the rest may quote a row.

    A stack is left out whole: each of its frames quotes a line of source, and a library's or a
    caller's line may hold a value. The logger's name says which library it was.
    """
    record: logging.LogRecord = event["_record"]
    # A library may log an exception itself as its message.
    text = record.msg if isinstance(record.msg, str) else type(record.msg).__name__
    event["event"] = _VALUES.split(text, maxsplit=1)[0].strip()
    event["logger"] = record.name
    exc_info = event.pop("exc_info", None)
    event.pop("stack_info", None)
    if isinstance(exc_info, tuple) and exc_info[0] is not None:
        event["error"] = exc_info[0].__name__
    return event
