"""The mapping: which columns of a file become which fields of a capture (docs/import.md)."""

from __future__ import annotations

import collections.abc
import difflib
from collections.abc import Collection, Hashable, Iterator
from pathlib import Path
from typing import Any, Literal, Self, TypeAlias, TypeVar

import yaml
from pydantic import Field, ValidationError, model_validator

from keeper_grpc.importing.failure import ImportFailed
from keeper_grpc.importing.mapping.numbers import DecimalMark
from keeper_grpc.importing.mapping.values import (
    ColumnsEntry,
    ConditionEntry,
    NumberCell,
    NumberEntry,
    Part,
    Skip,
    TextEntry,
    WhenEntry,
    YesNo,
)

T = TypeVar("T")

Marks: TypeAlias = collections.abc.Mapping[str, DecimalMark]
"""Decimal marks by column."""

_NUMBERS = ("confidence", "dollar_value", "potential_value")
"""The fields of the mapping itself that are numbers."""

_QUOTE = "; YAML reads yes, no, on, off, dates and numbers as such: put texts in quotes"


class Csv(Part):
    """How a CSV file is written. What is None is found out.

    `skip_lines` stand above the header.
    """

    delimiter: str | None = Field(None, min_length=1, max_length=1)
    encoding: Literal["utf-8", "utf-16", "cp1252", "latin-1"] | None = None
    skip_lines: int | None = Field(None, ge=0, le=1000)


class Xlsx(Part):
    """How a workbook is read. `sheet` may be None where there is one only."""

    sheet: str | None = None


class Result(Part):
    """The columns of the outcome."""

    success: YesNo
    revenue_impact: NumberEntry | None = None
    cost: NumberEntry | None = None
    customer_retained: YesNo | None = None
    complained: YesNo | None = None
    unsubscribed: YesNo | None = None
    final: YesNo | None = None
    response_rate: NumberEntry | None = None


class Known(Part):
    """Columns with identifiers that the anonymizer removes from the texts."""

    customer_names: ColumnsEntry = Field(default_factory=list)
    customer_emails: ColumnsEntry = Field(default_factory=list)
    customer_phones: ColumnsEntry = Field(default_factory=list)
    business_names: ColumnsEntry = Field(default_factory=list)
    employee_names: ColumnsEntry = Field(default_factory=list)
    addresses: ColumnsEntry = Field(default_factory=list)


class Mapping(Part):
    """A mapping, checked. `name` names the import: row and name together name a request."""

    name: str = Field(min_length=1, max_length=128)
    account_id: TextEntry
    type: TextEntry
    business_category: TextEntry | None = None
    conditions: dict[str, ConditionEntry] = Field(default_factory=dict)
    action: TextEntry
    script: TextEntry | None = None
    confidence: NumberEntry
    dollar_value: NumberEntry | None = None
    potential_value: NumberEntry | None = None
    outcome: Result
    occurred_time: WhenEntry | None = None
    identifiers: Known = Known()
    skip: list[Skip] = Field(default_factory=list)
    never_read: list[str] = Field(default_factory=list)
    row_id: ColumnsEntry = Field(default_factory=list)
    csv: Csv = Csv()
    xlsx: Xlsx = Xlsx()

    @classmethod
    def load(cls, path: Path) -> Mapping:
        """Read and check a mapping. Raises ImportFailed with one line for each mistake."""
        try:
            content = yaml.load(path.read_text(encoding="utf-8"), _Loader)  # noqa: S506 - a SafeLoader
        except OSError as error:
            raise ImportFailed(f"{path}: {error.strerror}") from None
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise ImportFailed(f"{path}: not YAML: {error}") from None
        try:
            return cls.model_validate(content)
        except ValidationError as error:
            lines = [f"{path}: {_line(problem)}" for problem in error.errors()]
            raise ImportFailed("\n".join(lines)) from None

    @model_validator(mode="after")
    def _never_means_never(self) -> Self:
        for place, column in self.places():
            if column in self.never_read and place != "never_read":
                message = f'{place} reads "{column}", which never_read forbids'
                raise ValueError(message)
        return self

    def places(self) -> Iterator[tuple[str, str]]:
        """Every (place in the mapping, column) that it names."""
        parts: dict[str, Any] = {
            name: getattr(self, name)
            for name in (
                *("account_id", "type", "business_category", "action", "script", "confidence"),
                *("dollar_value", "potential_value", "occurred_time"),
            )
        }
        parts |= {f"conditions.{key}": part for key, part in self.conditions.items()}
        parts |= {f"outcome.{name}": getattr(self.outcome, name) for name in Result.model_fields}
        parts |= {f"skip.{index}": part for index, part in enumerate(self.skip)}
        for place, part in parts.items():
            if part is not None:
                yield from ((place, column) for column in part.columns())
        for kind in Known.model_fields:
            yield from ((f"identifiers.{kind}", column) for column in self.known(kind))
        yield from (("row_id", column) for column in self.row_id)
        yield from (("never_read", column) for column in self.never_read)

    def number_columns(self) -> Iterator[tuple[str, str]]:
        """Every (place, column) that is read as numbers and does not say which decimal mark they have."""
        for place, part in self._number_parts():
            if part.reads_numbers and part.decimal is None and part.column is not None:
                yield place, part.column

    def money_places(self) -> Iterator[str]:
        """Every place that reads amounts of money from the file."""
        places = {name: getattr(self, name) for name in ("dollar_value", "potential_value")}
        places |= {
            f"outcome.{name}": getattr(self.outcome, name) for name in ("revenue_impact", "cost")
        }
        for place, part in places.items():
            if isinstance(part, NumberCell) and part.column is not None:
                yield place

    def with_decimals(self, marks: Marks) -> Mapping:
        """The same mapping, with these decimal marks by column where it names none."""

        def known(part: T) -> T:
            if not isinstance(part, NumberCell) or part.decimal is not None:
                return part
            return part.model_copy(update={"decimal": marks.get(part.column or "")})

        fields = {name: known(getattr(self, name)) for name in _NUMBERS}
        conditions = {key: known(part) for key, part in self.conditions.items()}
        outcome = {name: known(getattr(self.outcome, name)) for name in Result.model_fields}
        changed = {"conditions": conditions, "outcome": self.outcome.model_copy(update=outcome)}
        return self.model_copy(update=fields | changed)

    def _number_parts(self) -> Iterator[tuple[str, NumberCell]]:
        places = {name: getattr(self, name) for name in _NUMBERS}
        places |= {f"conditions.{key}": part for key, part in self.conditions.items()}
        places |= {f"outcome.{name}": getattr(self.outcome, name) for name in Result.model_fields}
        yield from ((place, part) for place, part in places.items() if isinstance(part, NumberCell))

    def known(self, kind: str) -> list[str]:
        """The columns that hold one kind of identifier."""
        columns: list[str] = getattr(self.identifiers, kind)
        return columns

    def check(self, columns: Collection[str], file: Path) -> None:
        """Raise ImportFailed unless the file has every column that the mapping names."""
        lines = []
        for place, column in self.places():
            if column not in columns:
                # Only the nearest name is shown: without a header line, the "columns" are data about people.
                near = difflib.get_close_matches(column, columns, 1)
                hint = f'; did you mean "{near[0]}"?' if near else ""
                lines.append(f'{place}: {file} has no column "{column}"{hint}')
        if lines:
            raise ImportFailed("\n".join(lines))


class _Loader(yaml.SafeLoader):
    """YAML in which a key that stands twice is an error: plain YAML keeps the last one silently."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.MarkedYAMLError(
                    problem=f'"{key}" stands twice', problem_mark=key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


def _line(problem: Any) -> str:
    """One mistake, with its place as the file has it."""
    message = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "string_type":
        message += _QUOTE
    place = ".".join(str(step) for step in problem["loc"] if step != "[key]")
    return f"{place}: {message}" if place else message
