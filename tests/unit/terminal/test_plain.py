from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import RenderableType

from keeper_grpc.gen.keeper.network.v1.emerging_pb2 import EmergingPattern
from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import GetPatternResponse
from keeper_grpc.gen.keeper.network.v1.pattern_pb2 import Evidence, Pattern
from keeper_grpc.terminal.output.emerging import emerging_table
from keeper_grpc.terminal.output.plain import plain
from keeper_grpc.terminal.pattern import shown
from keeper_grpc.terminal.patterns import listed
from tests.unit.terminal.rendered import rendered

HOSTILE = "a\x1b[2Jb\x1b]0;title\x07c\x9b31md\u202ee\rf\x08g\x00h [bold]i[/bold] :smile: j"
SHOWN = "a�[2Jb�]0;title�c�31md�e f�g�h [bold]i[/bold] :smile: j"

EVIDENCE = Evidence(occurrence_count=4, account_count=3, success_count=4, success_rate=1)


def one_pattern() -> Pattern:
    """A pattern whose every text is hostile."""
    pattern = Pattern(
        pattern_id=HOSTILE,
        pattern_type=HOSTILE,
        business_category=HOSTILE,
        action=HOSTILE,
        evidence=EVIDENCE,
    )
    pattern.conditions.update({HOSTILE: HOSTILE})
    return pattern


@given(st.text())
def test_nothing_that_a_terminal_obeys_remains(text: str) -> None:
    """Whatever comes in, one line comes out, without control characters or changes of direction."""
    safe = plain(text)
    assert all(
        unicodedata.category(character) not in {"Cc", "Cs", "Zl", "Zp"} for character in safe
    )
    assert not any(unicodedata.bidirectional(c) in {"LRO", "RLO", "LRI", "RLI"} for c in safe)
    assert plain(safe) == safe


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (HOSTILE, SHOWN),
        (" Hi {name},\n\twe miss you! ", "Hi {name}, we miss you!"),
        ("naïve 👩\u200d⚕️ 日本", "naïve 👩\u200d⚕️ 日本"),
        ("", ""),
    ],
)
def test_words_stay_as_they_are(text: str, line: str) -> None:
    """Only what does not print is replaced; breaks become blanks; words and emoji stay whole."""
    assert plain(text) == line


@pytest.mark.parametrize(
    "content",
    [
        listed([one_pattern()], 60),
        listed([one_pattern()], 400),
        shown(
            GetPatternResponse(
                pattern=one_pattern(),
                scripts=[GetPatternResponse.Script(template=HOSTILE, evidence=EVIDENCE)],
            )
        ),
        emerging_table(
            [
                EmergingPattern(
                    pattern_type=HOSTILE, business_categories=[HOSTILE], common_pattern=HOSTILE
                )
            ],
            400,
        ),
    ],
    ids=["narrow list", "list", "pattern", "emerging"],
)
def test_no_view_passes_control_sequences_on(content: RenderableType) -> None:
    """Hostile words reach the screen as words, in every view."""
    text = "\n".join(rendered(content, 400))
    assert "�[2Jb" in text
    assert not any(character in text for character in "\x1b\x07\x9b\u202e\r\x08\x00")
