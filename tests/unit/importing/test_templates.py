"""Each template reads a small file of ours in the layout that its source documents."""

from __future__ import annotations

from pathlib import Path

import pytest

from keeper_grpc.cli import main
from keeper_grpc.importing.mapping.mapping import Mapping
from keeper_grpc.importing.templates.named import NAMES, template
from keeper_grpc.privacy.conditions.shared_keys import SHARED_KEYS
from tests.unit.importing.test_exports import imported

FILES = Path(__file__).parent / "templates"


def loaded(tmp_path: Path, name: str) -> Mapping:
    """The template as a person would save it."""
    file = tmp_path / f"{name}.yaml"
    file.write_text(template(name), encoding="utf-8")
    return Mapping.load(file)


async def test_a_booking_of_calcom_tells_whether_a_guest_who_had_paid_came(tmp_path: Path) -> None:
    """Of five bookings two took place: one paid and kept, one unpaid and missed. No name is read."""
    made, reasons = await imported(
        FILES / "calcom-insights.csv", loaded(tmp_path, "calcom-insights")
    )

    assert reasons == []
    assert [(one.insight.action, one.outcome.success) for one in made] == [
        ("Take the payment when the guest books", True),
        ("Let the guest book without payment", False),
    ]
    assert [one.insight.conditions["duration_minutes"] for one in made] == [90, 45]
    assert f"{made[0].occurred_time.ToDatetime():%Y-%m-%d %H:%M}" == "2026-03-04 10:00"
    for one in made:
        assert all(name not in str(one) for name in ("Ada", "Bea", "Cy", "example"))


def test_a_template_is_printed_instead_of_a_mapping_being_asked_for(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Nothing is read and nothing is sent; a name that is none is refused with those there are."""
    assert main(["import", "bookings.csv", "--template", NAMES[0]]) == 0
    assert capsys.readouterr().out == template(NAMES[0])
    with pytest.raises(SystemExit):
        main(["import", "bookings.csv", "--template", "abacus"])
    assert NAMES[0] in capsys.readouterr().err


@pytest.mark.parametrize("name", NAMES)
def test_a_template_names_its_source_and_what_to_complete(name: str, tmp_path: Path) -> None:
    """A public address in a comment, a mark beside what only the business knows, and keys that the network shares."""
    text = template(name)
    assert "https://" in text.partition("name:")[0]
    assert "# unsure:" in text
    assert (FILES / f"{name}.csv").exists()
    assert set(loaded(tmp_path, name).conditions) <= set(SHARED_KEYS)
