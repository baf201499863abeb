"""A mapping to begin with: what the header and the first rows of a file look like.

It is a proposal for a person to read. What is guessed is marked `unsure`; no cell's content is written, but
for words of status columns that are on the lists below.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

from keeper_grpc.importing.failure import ImportFailed, Reason
from keeper_grpc.importing.files.header import DELIMITERS, LOOKED_AT, said_delimiter
from keeper_grpc.importing.files.kind import PEEKED, Format, format_of, require_objects
from keeper_grpc.importing.files.lines import Lines, opened, reading
from keeper_grpc.importing.files.records import Records
from keeper_grpc.importing.files.rows import json_rows
from keeper_grpc.importing.files.sheet import sheet_rows
from keeper_grpc.importing.mapping.declared_values import folded, says_done, says_no, says_yes
from keeper_grpc.importing.mapping.numbers import readings, written

_ROWS: Final = 200
"""Rows that are looked at."""

_MOSTLY: Final = 0.9
"""The share of a column's cells that makes it a column of numbers or of times."""

_FEW: Final = 12
"""Distinct values of a column of answers, at most."""

_WORDS: Final[dict[str, str]] = {
    "occurred_time": r"date|day|time|when|created|start|fecha|datum|data|tag|termin|dia|giorno|jour|heure",
    "revenue_impact": r"total|amount|revenue|net|sales|paid|price|charge|betrag|umsatz|preis|"
    r"importe|precio|montant|prix|importo|prezzo|valor|bedrag",
    "success": r"status|result|outcome|returned|rebooked|showed|success|response|won|estado|"
    r"statut|ergebnis|resultat|resultado|risultato|stato|situacao|erschienen|besucht|asistio|presencia|present",
    "account_id": r"location|branch|site|store|studio|salon|spa|gym|club|sucursal|filiale",
    "action": r"action|campaign|what we did|offer|treatment plan|promotion|measure",
    "script": r"script|message|text sent|wording|what we said|template",
    "customer_names": r"client|customer|guest|member|patient|name|cliente|kunde|nom",
    "customer_emails": r"e-?mail|correo|courriel",
    "customer_phones": r"phone|mobile|cell|tel|telefon|telefono",
    "employee_names": r"staff|employee|stylist|therapist|provider|trainer|technician|barber|mitarbeiter",
    "addresses": r"address|street|zip|postcode|postal|adresse|direccion",
    "row_id": r"id|no|number|invoice|ticket|transaction|booking id|appointment id|reference",
    "never_read": r"notes?|comments?|remarks?|dob|birth(?:day|date)|ssn|card|password|medical|allerg\w+",
}
"""What columns of each part are called, whole words; the first part that claims a column has it."""

_ORDER: Final = (
    "never_read",
    "customer_emails",
    "customer_phones",
    "addresses",
    "employee_names",
    "script",
    "action",
    "success",
    "account_id",
    "customer_names",
    "row_id",
    "occurred_time",
    "revenue_impact",
)

_NOT_DONE: Final = frozenset(
    (
        *(
            "no-show",
            "no show",
            "noshow",
            "cancelled",
            "canceled",
            "late cancel",
            "declined",
            "lost",
            "failed",
        ),
        *(
            "not completed",
            "no answer",
            "refused",
            "expired",
            "unpaid",
            "nicht erschienen",
            "storniert",
        ),
        *(
            "abgesagt",
            "annul\u00e9",
            "absent",
            "cancelado",
            "cancelada",
            "no asisti\u00f3",
            "annullato",
            "geannuleerd",
        ),
    )
)
"""What status columns write of what did not take place."""

_TIMES: Final[Sequence[tuple[re.Pattern[str], str]]] = (
    (re.compile(r"\d{4}-\d\d-\d\d(?:[T ].*)?"), ""),
    (re.compile(r"\d{5}(?:\.\d+)?"), "excel"),
    (re.compile(r"\d{10}"), "unix"),
    (re.compile(r"\d{13}"), "unix_ms"),
    (re.compile(r"20\d{6}"), ""),
    (re.compile(r"\d{4}/\d{1,2}/\d{1,2}"), "%Y/%m/%d"),
    (re.compile(r"\d{4}/\d{1,2}/\d{1,2} \d{1,2}:\d\d"), "%Y/%m/%d %H:%M"),
    (re.compile(r"\d{1,2}/\d{1,2}/\d{4}"), "%d/%m/%Y"),
    (re.compile(r"\d{1,2}/\d{1,2}/\d{2}"), "%d/%m/%y"),
    (re.compile(r"\d{1,2}/\d{1,2}/\d{4} \d{1,2}:\d\d"), "%d/%m/%Y %H:%M"),
    (re.compile(r"\d{1,2}/\d{1,2}/\d{4} \d{1,2}:\d\d [AP]M", re.IGNORECASE), "%d/%m/%Y %I:%M %p"),
    (re.compile(r"\d{1,2}\.\d{1,2}\.\d{4}"), "%d.%m.%Y"),
    (re.compile(r"\d{1,2}\.\d{1,2}\.\d{4} \d{1,2}:\d\d"), "%d.%m.%Y %H:%M"),
    (re.compile(r"\d{1,2}-\d{1,2}-\d{4}"), "%d-%m-%Y"),
    (re.compile(r"\d{1,2} [^\W\d_]+\.? \d{4}"), "%d %b %Y"),
    (re.compile(r"\d{1,2}-[^\W\d_]+-\d{4}"), "%d-%b-%Y"),
    (re.compile(r"[^\W\d_]+ \d{1,2}, \d{4}"), "%b %d, %Y"),
)
"""How times are written, and their formats. Of day and month, `_format` decides which comes first."""

_ONE_COLUMN: Final = ("account_id", "action", "script", "success", "occurred_time", "row_id")
"""Parts that read the first column that is found for them."""

UNSURE: Final = "  # unsure: "


@dataclass(frozen=True, slots=True)
class Table:
    """The beginning of a file. `settings` are lines of the mapping that say how it is written."""

    names: Sequence[str]
    rows: Sequence[Sequence[str]]
    settings: Sequence[str] = ()

    def cells(self, name: str) -> list[str]:
        """The cells of a column that are not empty."""
        at = self.names.index(name)
        return [row[at].strip() for row in self.rows if at < len(row) and row[at].strip()]


def suggest(file: Path, file_format: Format | None) -> str:
    """A mapping for the file, in YAML. Raises ImportFailed when the file cannot be read as a table."""
    table = _beginning(file, file_format or format_of(file))
    found: dict[str, list[str]] = {}
    for name in dict.fromkeys(name for name in table.names if name):
        # A repeated column may be any of them.
        part = _part(table, name) if table.names.count(name) == 1 else ""
        found.setdefault(part, []).append(name)
    return "\n".join([*_lines(file, table, found), *table.settings, ""])


def _part(table: Table, name: str) -> str:
    """The part of the mapping that the column seems to be for; empty for none, `conditions` for a fact."""
    spaced = re.sub(r"[_\-./]+", " ", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name))
    words = "".join(
        char
        for char in unicodedata.normalize("NFKD", folded(spaced))
        if not unicodedata.combining(char)
    )
    for part in _ORDER:
        if re.search(rf"(?<![^\W_])(?:{_WORDS[part]})(?![^\W_])", words) and _fits(
            table, name, part
        ):
            return part
    return "conditions" if _is_fact(table.cells(name)) else ""


def _fits(table: Table, name: str, part: str) -> bool:
    """Whether the cells are of the kind that the part reads."""
    cells = table.cells(name)
    if not cells:
        return part == "never_read"
    match part:
        case "occurred_time":
            # A format that is not known here is one that the operator has to write, not a column to leave out.
            return _format(cells) is not None or (not _is_fact(cells) and _dated(cells))
        case "revenue_impact":
            return _share(bool(readings(cell)) for cell in cells) >= _MOSTLY
        case "success":
            return len({folded(cell) for cell in cells}) <= _FEW
        case "row_id":
            return len(set(cells)) == len(cells)
        case _:
            return True


def _dated(cells: Sequence[str]) -> bool:
    """Whether the cells have a year among their figures."""
    return _share(bool(re.search(r"(?<!\d)20\d\d(?!\d)", cell)) for cell in cells) >= _MOSTLY


def _is_fact(cells: Sequence[str]) -> bool:
    """Whether the cells are numbers or a few values: other texts are about one case each."""
    if not cells:
        return False
    numbers = _share(bool(readings(cell)) for cell in cells) >= _MOSTLY
    return numbers or len({folded(cell) for cell in cells}) <= _FEW


def _share(answers: Iterator[bool]) -> float:
    counted = Counter(answers)
    return counted[True] / counted.total()


def _format(cells: Sequence[str]) -> str | None:
    """The format of most cells, empty for ISO 8601; None when they are no times."""
    for looks, known in _TIMES:
        if _share(bool(looks.fullmatch(cell)) for cell in cells) >= _MOSTLY:
            days_first = not any(
                re.match(r"\d{1,2}[/.\-](?:1[3-9]|2\d|3[01])\b", cell) for cell in cells
            )
            return known if days_first else known.replace("%d/%m", "%m/%d")
    return None


def _order_is_shown(cells: Sequence[str]) -> bool:
    """Whether one cell has a day above 12, which tells day and month apart."""
    return any(
        re.match(r"(?:(?:1[3-9]|2\d|3[01])[/.\-]|\d{1,2}[/.\-](?:1[3-9]|2\d|3[01])\b)", cell)
        for cell in cells
    )


def _key(name: str) -> str:
    return re.sub(r"\W+", "_", folded(re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name))).strip("_")


def _quoted(text: str) -> str:
    """A text that YAML reads as one, whatever it looks like."""
    return json.dumps(text, ensure_ascii=False)


def _braced(name: str) -> str:
    return _quoted("{" + name + "}")


def _lines(file: Path, table: Table, found: dict[str, list[str]]) -> Iterator[str]:
    yield f"# A proposal for {file.name}, from its header and its first {len(table.rows)} rows. Read every line,"
    yield "# correct what is marked, and try it: keeper import FILE --mapping THIS --check"
    yield f"name: {_quoted(file.stem)}"
    if places := found.get("account_id"):
        yield f"account_id: {_braced(places[0])}{UNSURE}one account for each location, salon or studio"
    else:
        yield f'account_id: "my-business"{UNSURE}no column names a location; write the account\'s id'
    yield f'type: "churn_prevention"{UNSURE}what kind of insight the rows are'
    yield f'business_category: "salon"{UNSURE}spa, salon, gym or another line of business'
    yield from _conditions(table, found.get("conditions", []))
    if actions := found.get("action"):
        yield f"action: {_braced(actions[0])}"
    else:
        yield f'action: "Send a personal reminder"{UNSURE}no column names what was done; say it, or name one'
    if scripts := found.get("script"):
        yield f"script: {_braced(scripts[0])}"
    yield "confidence: 0.6"
    yield "outcome:"
    yield from _success(table, found.get("success", []))
    if amounts := found.get("revenue_impact"):
        yield f"  revenue_impact: {_quoted(amounts[0])}{_doubt(table, amounts)}"
    if times := found.get("occurred_time"):
        yield _when(table, times[0])
    else:
        yield f"# occurred_time:{UNSURE}no column looks like a time; without one, rows count as of the day of the import"
    yield from _identifiers(found)
    if ids := found.get("row_id"):
        yield f"row_id: {_quoted(ids[0])}{UNSURE}it must name a row for ever"
    if never := found.get("never_read"):
        yield f"never_read: [{', '.join(map(_quoted, never))}]"
    left = [name for part in _ONE_COLUMN for name in found.get(part, [])[1:]]
    for name in [*left, *found.get("", [])]:
        yield f"# not used: {_quoted(name)}"


def _conditions(table: Table, names: Sequence[str]) -> Iterator[str]:
    if not names:
        return
    yield f"conditions:{UNSURE}the server shares the keys that it knows, and its answer names the others"
    for name in names:
        cells = table.cells(name)
        numbers = bool(cells) and _share(bool(readings(cell)) for cell in cells) >= _MOSTLY
        entry = f"{{column: {_quoted(name)}, as: number}}" if numbers else _quoted(name)
        yield f"  {_key(name)}: {entry}"


def _success(table: Table, names: Sequence[str]) -> Iterator[str]:
    if not names:
        yield f'  success: {{column: "?", equals: "?"}}{UNSURE}no column looks like an answer; name one'
        return
    values = sorted({folded(cell) for cell in table.cells(names[0])})
    no = [word for word in values if word in _NOT_DONE or says_no(word)]
    yes = [
        word
        for word in values
        if word not in no and (word == "accepted" or says_yes(word) or says_done(word))
    ]
    unknown = len(values) - len(yes) - len(no)
    yield "  success:"
    yield f"    column: {_quoted(names[0])}"
    if yes:
        yield f"    in: [{', '.join(map(_quoted, yes))}]{UNSURE}what counts as a success"
    else:
        yield f'    in: ["?"]{UNSURE}write the values that mean a success'
    if no:
        yield f"    fails: [{', '.join(map(_quoted, no))}]"
    if unknown:
        yield f"    # {unknown} more values of this column are on neither list"


def _doubt(table: Table, amounts: Sequence[str]) -> str:
    """What a person has to say of the first column of amounts."""
    cells = [written(cell) for cell in table.cells(amounts[0])]
    two_ways = any(len(set(cell.readings.values())) > 1 for cell in cells)
    doubts = []
    if two_ways and len({cell.mark for cell in cells if cell.mark}) != 1:
        entry = f"{{column: {_quoted(amounts[0])}, decimal: "
        doubts.append(f'no row shows the decimal mark; write {entry}"."}} or {entry}","}}')
    if amounts[1:]:
        doubts.append(f"or {', '.join(map(_quoted, amounts[1:]))}")
    return f"{UNSURE}{'; '.join(doubts)}" if doubts else ""


def _when(table: Table, name: str) -> str:
    cells = table.cells(name)
    known = _format(cells)
    if known is None:
        return (
            f'occurred_time: {{column: {_quoted(name)}, format: "?"}}{UNSURE}write how its times are written, as '
            '"%d/%m/%Y %H:%M"'
        )
    if not known:
        return f"occurred_time: {_quoted(name)}"
    entry = f"occurred_time: {{column: {_quoted(name)}, format: {_quoted(known)}}}"
    if known.startswith(("%d/%m", "%m/%d", "%d-%m-", "%m-%d-")) and not _order_is_shown(cells):
        return f"{entry}{UNSURE}no row shows whether the day or the month comes first"
    return entry


def _identifiers(found: dict[str, list[str]]) -> Iterator[str]:
    kinds = [
        kind
        for kind in (
            *("customer_names", "customer_emails", "customer_phones"),
            *("employee_names", "addresses"),
        )
        if kind in found
    ]
    if not kinds:
        return
    yield "identifiers:"
    for kind in kinds:
        yield f"  {kind}: [{', '.join(map(_quoted, found[kind]))}]"


def _beginning(file: Path, file_format: Format) -> Table:
    match file_format:
        case "csv":
            return _csv_beginning(file)
        case "xlsx":
            first = [cells for cells, _ in islice(sheet_rows(file, None), LOOKED_AT + _ROWS)]
            return _with_header(first, file)
        case "jsonl":
            return _json_beginning(file)


def _csv_beginning(file: Path) -> Table:
    settings: list[str] = []
    declared = None
    for declared in (None, "cp1252"):
        try:
            with opened(file) as stream:
                lines = list(islice(Lines(stream, file, declared), LOOKED_AT + _ROWS))
        except ImportFailed:
            if declared is not None:
                raise
            continue
        break
    if declared is not None:
        settings.append(f"csv: {{encoding: {declared}}}{UNSURE}it is not UTF-8")
    said = said_delimiter(lines)
    body = lines if said is None else lines[1:]
    tables = [
        [cells for cells in Records(iter(body), delimiter) if not isinstance(cells, Reason)]
        for delimiter in (DELIMITERS if said is None else (said,))
    ]
    return _with_header(max(tables, key=_cells_agreed_upon), file, settings)


def _cells_agreed_upon(records: Sequence[Sequence[str]]) -> int:
    """Cells in the records of the most frequent width: the right delimiter makes most of them."""
    widths = Counter(len(cells) for cells in records if len(cells) > 1)
    return max((width * times for width, times in widths.items()), default=0)


def _with_header(
    records: Sequence[Sequence[str]], file: Path, settings: Sequence[str] = ()
) -> Table:
    """The header is the first record as wide as most, all of whose named cells are no numbers."""
    widths = Counter(sum(bool(cell.strip()) for cell in cells) for cells in records)
    del widths[0]
    if not widths:
        raise ImportFailed(f"{file}: it has no header line")
    usual = widths.most_common(1)[0][0]
    for at, cells in enumerate(records):
        named = [cell for cell in cells if cell.strip()]
        if len(named) >= usual - 1 and not any(readings(cell) for cell in named):
            rows = [row for row in records[at + 1 :] if any(cell.strip() for cell in row)]
            return Table([cell.strip() for cell in cells], rows[:_ROWS], settings)
    raise ImportFailed(f"{file}: no line looks like a header; the columns need names")


def _json_beginning(file: Path) -> Table:
    with opened(file) as stream:
        with reading(file):
            require_objects(file, stream.peek(PEEKED))
        rows = [
            found
            for found in islice(json_rows(Lines(stream, file, "utf-8")), _ROWS)
            if not isinstance(found, Reason)
        ]
    names = list(dict.fromkeys(key for row in rows for key in row))
    if not names:
        raise ImportFailed(f"{file}: it has no JSON objects")
    return Table(names, [[row.get(name, "") for name in names] for row in rows])
