import json
import re
import shutil
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any, TypeAlias
from uuid import UUID

import pytest

Row: TypeAlias = dict[str, Any]

EXAMPLES = Path(__file__).parents[2] / "examples"
PEOPLE = ("customer_names", "employee_names")
EMERGING_TYPE = "service_demand"


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    """Every line of examples/history.jsonl."""
    with (EXAMPLES / "history.jsonl").open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def check(script: Path) -> int:
    """The exit code of `write_history.py --check`."""
    return subprocess.run([sys.executable, script, "--check"], check=False).returncode


def texts(row: Row) -> str:
    """All free text of a row's insight, as the service would receive it."""
    insight = row["insight"]
    conditions = [value for value in insight["conditions"].values() if isinstance(value, str)]
    return "\n".join([insight["action"], insight["script"], *conditions])


def digits(text: str) -> str:
    """The digits of a text, however they are grouped."""
    return re.sub(r"\D", "", text)


def traces(row: Row) -> set[str]:
    """What a search would look for: names, each name's parts, e-mails, places, in lower case."""
    found = set()
    for field, values in row["identifiers"].items():
        for value in values:
            if field != "customer_phones":
                found.add(value.lower())
            if field in PEOPLE:
                found.update(value.lower().split(" "))
    return found


def phones(row: Row) -> set[str]:
    """The declared phones as ten national digits."""
    return {digits(phone)[-10:] for phone in row["identifiers"].get("customer_phones", [])}


def test_history_is_what_the_generator_writes() -> None:
    """Nobody edits the file by hand and forgets the wordings' source."""
    assert check(EXAMPLES / "write_history.py") == 0


def test_check_notices_a_changed_line(tmp_path: Path) -> None:
    """The comparison above can fail."""
    script = Path(shutil.copy(EXAMPLES / "write_history.py", tmp_path))
    original = (EXAMPLES / "history.jsonl").read_text("utf-8")
    (tmp_path / "history.jsonl").write_text(original.replace("spa-01", "spa-02", 1), "utf-8")

    assert check(script) == 1


def test_history_has_480_groups_of_24_accounts(rows: list[Row]) -> None:
    """Eight accounts of each category took part."""
    accounts = {row["account_id"]: row["insight"]["business_category"] for row in rows}

    assert len(rows) == 480
    assert Counter(accounts.values()) == {"spa": 8, "salon": 8, "gym": 8}


def test_an_account_stays_in_its_category(rows: list[Row]) -> None:
    """A second category would be refused by the service."""
    categories = defaultdict(set)
    for row in rows:
        categories[row["account_id"]].add(row["insight"]["business_category"])

    assert all(len(found) == 1 for found in categories.values())


def test_request_ids_are_unique_uuids(rows: list[Row]) -> None:
    """A repeated id would count as a retry and be lost."""
    assert len({UUID(row["request_id"]) for row in rows}) == len(rows)


def test_every_row_can_be_captured(rows: list[Row]) -> None:
    """An action is there, ratios are ratios and no slot was left unfilled."""
    for row in rows:
        insight, outcome = row["insight"], row["outcome"]
        assert insight["action"]
        assert 0 <= insight["confidence"] <= 1
        assert 0 <= outcome.get("response_rate", 0) <= 1
        assert insight["potential_value"] >= insight["dollar_value"] > 0
        assert not re.search(r"[<>]", texts(row))


def test_history_is_in_time_order_and_half_of_it_is_recent(rows: list[Row]) -> None:
    """A player can send the lines as they come; a weekly figure has something to count."""
    days = [row["days_ago"] for row in rows]

    assert days == sorted(days, reverse=True)
    assert 0 <= min(days) <= max(days) <= 60
    assert 0.4 <= sum(day < 7 for day in days) / len(days) <= 0.6


def test_wording_varies(rows: list[Row]) -> None:
    """Merging has to be earned: no action is repeated by more than a few captures."""
    actions = Counter(row["insight"]["action"] for row in rows)

    assert len(actions) >= 200
    assert max(actions.values()) <= 5


def test_successes_and_failures_are_both_there(rows: list[Row]) -> None:
    """The half-price coupon fails, as no pattern that works does."""
    coupon = [row for row in rows if "half-price coupon" in row["insight"]["action"]]
    rate = sum(row["outcome"]["success"] for row in coupon) / len(coupon)

    assert len(coupon) >= 15
    assert rate < 0.3
    assert 0.6 <= sum(row["outcome"]["success"] for row in rows) / len(rows) <= 0.75


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Raise the price of Saturday massages by 10%", "Lower the price of Saturday massages by"),
        ("Send a text reminder the day before", "Stop sending reminders"),
        ("Introduce a late-cancel fee", "Remove the late-cancel fee"),
    ],
)
def test_opposite_actions_meet_in_one_scope(rows: list[Row], one: str, other: str) -> None:
    """The merge guard is put to the test only where type and category agree."""

    def scopes(start: str) -> set[tuple[str, str]]:
        return {
            (row["insight"]["type"], row["insight"]["business_category"])
            for row in rows
            if row["insight"]["action"].startswith(start)
        }

    assert scopes(one) == scopes(other)
    assert len(scopes(one)) == 1


def test_declared_identifiers_recur_in_the_texts(rows: list[Row]) -> None:
    """Whatever a row declares stands in its texts, whole, by first name or regrouped."""
    declaring = [row for row in rows if row["identifiers"]]
    for row in declaring:
        text = texts(row).lower()
        for field, values in row["identifiers"].items():
            for value in values:
                if field == "customer_phones":
                    assert digits(value)[-10:] in digits(text)
                else:
                    part = value.split(" ")[0] if field in PEOPLE else value
                    assert part.lower() in text

    assert len(declaring) >= 60
    fields = {field for row in declaring for field in row["identifiers"]}
    assert fields == {
        "customer_names",
        "customer_emails",
        "customer_phones",
        "business_names",
        "employee_names",
        "addresses",
    }


def test_identifiers_recur_in_the_forms_that_people_write(rows: list[Row]) -> None:
    """First name only, lower case, possessive and a regrouped phone each occur."""
    forms: Counter[str] = Counter()
    for row in rows:
        text = texts(row)
        for name in row["identifiers"].get("customer_names", []):
            first = name.split(" ")[0]
            forms["first name only"] += first in text and name not in text
            forms["lower case"] += bool(re.search(rf"\b{first.lower()}\b", text))
            forms["possessive"] += f"{first}'s" in text
        for phone in row["identifiers"].get("customer_phones", []):
            forms["regrouped"] += phone not in text

    assert min(forms.values()) >= 5, forms
    assert len(forms) == 4


def test_an_identifier_occurs_only_where_it_is_declared(rows: list[Row]) -> None:
    """So a search of the database for it finds leaks and nothing else."""
    every_trace = {trace for row in rows for trace in traces(row)}
    every_phone = {phone for row in rows for phone in phones(row)}
    for row in rows:
        text = texts(row).lower()
        assert {trace for trace in every_trace if trace in text} <= _implied(row)
        assert {phone for phone in every_phone if phone in digits(text)} <= phones(row)


def _implied(row: Row) -> set[str]:
    """Traces that a row may hold: its own, and those of an e-mail that spells the name."""
    emails = row["identifiers"].get("customer_emails", [])
    spelled = {part for email in emails for part in re.split(r"[.@]", email)}
    return traces(row) | spelled


def test_emerging_topic_is_new_recent_and_of_five_accounts(rows: list[Row]) -> None:
    """Enough accounts to emerge, outcomes too mixed to be proven."""
    emerging = [row for row in rows if row["insight"]["type"] == EMERGING_TYPE]
    others = [row for row in rows if row["insight"]["type"] != EMERGING_TYPE]

    assert len(emerging) == 6
    assert len({row["account_id"] for row in emerging}) == 5
    assert all(row["days_ago"] < 2 for row in emerging)
    assert {row["outcome"]["success"] for row in emerging} == {True, False}
    assert not any("magnesium" in row["insight"]["action"].lower() for row in others)


def test_live_sighting_is_not_in_the_history(rows: list[Row]) -> None:
    """The wording kept back in the README is new to the network when a demo sends it."""
    readme = (EXAMPLES / "README.md").read_text("utf-8")
    [live] = re.findall(r"^> (.+)$", readme, re.MULTILINE)

    assert "magnesium" in live
    assert live not in {row["insight"]["action"] for row in rows}


def test_newcomer_has_captured_nothing(rows: list[Row]) -> None:
    """Its enhancement can only come from others."""
    newcomer = json.loads((EXAMPLES / "newcomer.json").read_text("utf-8"))

    assert newcomer["account_id"] not in {row["account_id"] for row in rows}
    assert newcomer["without_action"]["action"] == newcomer["without_action"]["script"] == ""
    assert newcomer["with_action"]["action"]
    assert newcomer["without_action"]["conditions"] == newcomer["with_action"]["conditions"]
