"""How the cells of a row become the values of a request: the parts that a mapping is made of.

Each part reads its own entry of the YAML file, names the columns that it needs, and returns its value
for a row. A cell is a text; an empty text means unknown.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any, Literal, Self, TypeAlias
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainValidator, model_validator

from keeper_grpc.importing.failure import Problem
from keeper_grpc.importing.mapping import dates
from keeper_grpc.importing.mapping.declared_values import find, says_done, says_no, says_yes
from keeper_grpc.importing.mapping.numbers import DecimalMark, Percent, number, percentage
from keeper_grpc.importing.mapping.template import Template

Row: TypeAlias = Mapping[str, str]
"""Cells by column."""

Scalar: TypeAlias = str | float | bool

_NOON = time(12, tzinfo=UTC)
"""The hour for a date without time: noon UTC is the same day in almost every time zone."""


class Part(BaseModel):
    """An entry of the mapping. Unknown keys and values of the wrong type are errors."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Cell(Part):
    """One column; some of its values may mean unknown."""

    column: str | None = None
    missing: list[str] = Field(default_factory=list)

    def columns(self) -> Iterator[str]:
        """The columns that are read."""
        if self.column is not None:
            yield self.column

    def cell(self, row: Row) -> str:
        """The cell, empty if unknown."""
        cell = "" if self.column is None else row.get(self.column, "")
        return "" if cell and find(cell, self.missing) else cell

    def _known(self, row: Row) -> str:
        if cell := self.cell(row):
            return cell
        raise Problem("EMPTY_CELL", f'column "{self.column}" is empty')


class NumberCell(Cell):
    """A column that may hold numbers. `decimal` is their decimal mark; None where each cell shows it.

    `percent` is what a percent sign means; None where there is none.
    """

    decimal: DecimalMark | None = None
    percent: Percent | None = None

    @property
    def reads_numbers(self) -> bool:
        """Whether the column's cells are read as numbers."""
        return self.column is not None

    def _number(self, cell: str) -> float:
        if self.percent is not None:
            return percentage(cell, self.column, self.decimal, self.percent)
        return number(cell, self.column, self.decimal)


class Condition(NumberCell):
    """A value of `conditions`: a column as it is, banded or mapped, or the same for all rows."""

    constant: Scalar | None = None
    kind: Literal["text", "number", "boolean"] = Field("text", alias="as")
    bands: list[float] | None = Field(None, min_length=1)
    map: dict[str, Scalar] | None = Field(None, min_length=1)
    otherwise: Scalar | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        _exactly_one(self, "column", "constant")
        if self.bands is not None and self.map is not None:
            message = "bands or map, not both"
            raise ValueError(message)
        if self.bands is not None and sorted(set(self.bands)) != self.bands:
            message = "bands must ascend"
            raise ValueError(message)
        if self.otherwise is not None and self.map is None:
            message = "otherwise belongs to map"
            raise ValueError(message)
        return self

    @property
    def reads_numbers(self) -> bool:
        """Whether the column's cells are read as numbers."""
        return self.column is not None and (self.bands is not None or self.kind == "number")

    def value(self, row: Row) -> Scalar | None:
        """The value, or None if the cell is unknown. Raises Problem."""
        if self.constant is not None:
            return self.constant
        cell = self.cell(row)
        if not cell:
            return None
        if self.map is not None:
            named = find(cell, self.map)
            mapped = self.otherwise if named is None else self.map[named]
            if mapped is None:
                raise _not_in_map(self.column)
            return mapped
        return self._converted(cell)

    def _converted(self, cell: str) -> Scalar:
        if self.bands is not None:
            return _band(self._number(cell), self.bands)
        match self.kind:
            case "number":
                return self._number(cell)
            case "boolean":
                return _boolean(cell, self.column)
            case "text":
                return cell


class Number(NumberCell):
    """A number: of a column, or the same for all rows."""

    constant: float | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        _exactly_one(self, "column", "constant")
        return self

    def value(self, row: Row) -> float | None:
        """The number, or None if the cell is unknown. Raises Problem."""
        if self.constant is not None:
            return self.constant
        cell = self.cell(row)
        return self._number(cell) if cell else None


class Text(Cell):
    """A text: one template for all rows, or one for each value of a column."""

    template: Annotated[Template, PlainValidator(Template.parse)] | None = None
    map: dict[str, Annotated[Template, PlainValidator(Template.parse)]] | None = None
    otherwise: Annotated[Template, PlainValidator(Template.parse)] | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        _exactly_one(self, "column", "template")
        if (self.map is None) != (self.column is None):
            message = "column and map belong together; a column as it is, is the template {column}"
            raise ValueError(message)
        if self.otherwise is not None and self.map is None:
            message = "otherwise belongs to map"
            raise ValueError(message)
        return self

    def columns(self) -> Iterator[str]:
        """The columns that are read."""
        yield from super().columns()
        for template in (self.template, self.otherwise, *(self.map or {}).values()):
            if template is not None:
                yield from sorted(template.columns)

    def value(self, row: Row) -> str:
        """The text. Raises Problem."""
        template = self.template
        if self.map is not None:
            named = find(self._known(row), self.map)
            template = self.otherwise if named is None else self.map[named]
            if template is None:
                raise _not_in_map(self.column)
        assert template is not None  # noqa: S101 - held by _one_way
        return template.fill(row)


class YesNo(NumberCell):
    """A boolean of a column. `fails` are the values that mean no; without it, all other values do.

    But for words that say yes or that it took place: they mean no only where `fails` lists them. An empty text
    in `fails` stands for an empty cell.
    """

    column: str
    equals: str | None = None
    one_of: list[str] | None = Field(None, alias="in", min_length=1)
    at_least: float | None = None
    fails: list[str] | None = Field(None, min_length=1)

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        _exactly_one(self, "equals", "one_of", "at_least")
        if self.fails is not None and self.at_least is not None:
            message = "fails goes with equals or in"
            raise ValueError(message)
        return self

    @property
    def reads_numbers(self) -> bool:
        """Whether the column's cells are read as numbers."""
        return self.at_least is not None

    def value(self, row: Row) -> bool | None:
        """True, False, or None if the cell is unknown. Raises Problem."""
        cell = self.cell(row)
        if not cell:
            # What `missing` lists is unknown, whatever an empty cell means.
            return False if "" in (self.fails or ()) and not row.get(self.column) else None
        if self.at_least is not None:
            return self._number(cell) >= self.at_least
        yes = [self.equals] if self.equals is not None else (self.one_of or ())
        # A value may differ from one of the other list by its case alone: what is written exactly decides.
        if find(cell, yes) is not None and cell not in (self.fails or ()):
            return True
        if self.fails is not None:
            if find(cell, self.fails) is None:
                raise Problem("NOT_AN_ANSWER", f'column "{self.column}" says neither yes nor no')
        elif says_yes(cell) or says_done(cell):
            raise Problem(
                "NOT_AN_ANSWER",
                f'column "{self.column}" says yes in a word that the mapping does not name: '
                "list it under in, or under fails",
            )
        return False


class Skip(Part):
    """A filter of rows that are not imported. They are counted and skipped."""

    column: str
    equals: str | None = None
    one_of: list[str] | None = Field(None, alias="in", min_length=1)
    empty: Literal[True] | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        _exactly_one(self, "equals", "one_of", "empty")
        return self

    def columns(self) -> Iterator[str]:
        """The column that is read."""
        yield self.column

    def applies(self, row: Row) -> bool:
        """Whether the row is to be left out."""
        cell = row.get(self.column, "")
        if self.empty:
            return not cell
        named = [self.equals] if self.equals is not None else (self.one_of or ())
        return find(cell, named) is not None


class When(Cell):
    """A time: a column in a format, so many days before a fixed date, or the same for all rows.

    Never relative to now: the same row must make the same request in every run.
    """

    format: str = Field("iso", min_length=1)
    timezone: str = "UTC"
    days_before: date | None = None
    constant: date | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        _exactly_one(self, "column", "constant")
        if self.days_before is not None and self.column is None:
            message = "days_before is a date, and column holds how many days before it"
            raise ValueError(message)
        try:
            ZoneInfo(self.timezone)
        except (ZoneInfoNotFoundError, ValueError):
            message = "timezone is not one that this machine knows"
            raise ValueError(message) from None
        return self

    def value(self, row: Row) -> datetime | None:
        """The time in UTC, or None if the cell is unknown. Raises Problem."""
        if self.constant is not None:
            return datetime.combine(self.constant, _NOON)
        cell = self.cell(row)
        if not cell:
            return None
        try:
            if self.days_before is not None:
                days = timedelta(days=number(cell, self.column, None))
                return datetime.combine(self.days_before, _NOON) - days
            found = self._in_zone(dates.moment(cell, self.format)).astimezone(UTC)
        except (ValueError, OverflowError, OSError):
            message = f'column "{self.column}" holds no time of format {self.format}'
            raise Problem("NOT_A_TIME", message + dates.advice(cell, self.format)) from None
        if found.year not in dates.YEARS:
            raise Problem(
                "NOT_A_TIME",
                f'column "{self.column}" has a time in another century, by format {self.format}'
                f"{dates.advice(cell, self.format)}",
            )
        return found

    def _in_zone(self, moment: datetime) -> datetime:
        return moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(self.timezone))


def _as_column(value: Any) -> Any:
    return {"column": value} if isinstance(value, str) else value


def _as_number(value: Any) -> Any:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return {"constant": value}
    return _as_column(value)


def _as_template(value: Any) -> Any:
    return value if isinstance(value, dict) else {"template": value}


ConditionEntry = Annotated[Condition, BeforeValidator(_as_column)]
NumberEntry = Annotated[Number, BeforeValidator(_as_number)]
TextEntry = Annotated[Text, BeforeValidator(_as_template)]
WhenEntry = Annotated[When, BeforeValidator(_as_column)]
ColumnsEntry = Annotated[
    list[str], BeforeValidator(lambda value: [value] if isinstance(value, str) else value)
]


def _exactly_one(part: Part, *names: str) -> None:
    if sum(getattr(part, name) is not None for name in names) != 1:
        keys = [type(part).model_fields[name].alias or name for name in names]
        message = f"exactly one of {', '.join(keys)}"
        raise ValueError(message)


def _not_in_map(column: str | None) -> Problem:
    return Problem("NOT_IN_MAP", f'column "{column}" has a value that map does not name')


def _boolean(cell: str, column: str | None) -> bool:
    if says_yes(cell):
        return True
    if says_no(cell):
        return False
    raise Problem(
        "NOT_A_BOOLEAN",
        f'column "{column}" holds neither yes nor no; write {{column: {column}, map: ...}} with true or false '
        "for each of its values",
    )


def _band(number: float, bounds: list[float]) -> str:
    """The band in words: lower bounds are inclusive, upper bounds exclusive."""
    at = bisect.bisect_right(bounds, number)
    if at == 0:
        return f"under {bounds[0]:g}"
    if at == len(bounds):
        return f"{bounds[-1]:g} and over"
    return f"{bounds[at - 1]:g} to under {bounds[at]:g}"
