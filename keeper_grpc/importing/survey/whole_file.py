"""One pass over the file, and what each of the checks says of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

from keeper_grpc.importing.build import skipped
from keeper_grpc.importing.files.rows import Source
from keeper_grpc.importing.mapping.mapping import Mapping
from keeper_grpc.importing.mapping.values import Row
from keeper_grpc.importing.survey.amounts import Amounts
from keeper_grpc.importing.survey.answers import Answers
from keeper_grpc.importing.survey.day_order import DayOrder
from keeper_grpc.importing.survey.named_currencies import NamedCurrencies

_BREATH: Final = 256
"""Rows after which control returns to the event loop, so that signals arrive."""


@dataclass(frozen=True, slots=True)
class Survey:
    """The mapping, with the decimal marks that the file shows, and the answers of `outcome.success`."""

    mapping: Mapping
    answers: Answers


async def survey(mapping: Mapping, source: Source) -> Survey:
    """Read the file. Raises ImportFailed when what it would store is plainly not meant."""
    amounts = Amounts({column: place for place, column in mapping.number_columns()})
    order, named = DayOrder(mapping.occurred_time), NamedCurrencies(mapping)
    answers, counted = Answers(), mapping.outcome.success
    async for row in _rows(mapping, source):
        if not counted.reads_numbers:
            answers.add(counted, row)
        for each in (order, named, amounts):
            each.add(row)
    order.require()
    amounts.require_one_currency()
    named.require_one()
    read = mapping.with_decimals(amounts.marks())
    if counted.reads_numbers:  # whether 1,5 is at least 4 depends on its decimal mark
        async for row in _rows(read, source):
            answers.add(read.outcome.success, row)
    else:
        answers.require_some(counted)
    return Survey(read, answers)


async def _rows(mapping: Mapping, source: Source) -> AsyncIterator[Row]:
    for row in source.rows():
        if row.number % _BREATH == 0:
            await asyncio.sleep(0)
        if row.unreadable is None and not skipped(mapping, row.cells):
            yield row.cells
