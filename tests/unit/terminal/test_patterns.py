from __future__ import annotations

from datetime import timedelta

from keeper_grpc.client.orders import in_order
from keeper_grpc.gen.keeper.network.v1.admin_service_pb2 import GetPatternSupportResponse
from keeper_grpc.gen.keeper.network.v1.adoption_pb2 import (
    DISMISSAL_REASON_TOO_COSTLY,
    Adoption,
)
from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import GetPatternResponse
from keeper_grpc.gen.keeper.network.v1.pattern_pb2 import AuthorClaim, Evidence, Pattern
from keeper_grpc.terminal.output.as_json import history_json, pattern_json
from keeper_grpc.terminal.pattern import shown, supported
from keeper_grpc.terminal.patterns import listed
from tests.unit.terminal.rendered import rendered

ID = "8f14e45f-ceea-467f-a8f6-3d0c5b1f8b1a"
PROVEN = Pattern(
    pattern_id=ID,
    pattern_type="churn_prevention",
    business_category="spa",
    action="Send a personal reminder with 20% off",
    evidence=Evidence(
        occurrence_count=42,
        account_count=12,
        success_count=38,
        success_rate=38 / 42,
        lower_bound=0.81,
    ),
)
AUTHORED = Pattern(
    pattern_id=ID, pattern_type="win_back", business_category="gym", action="Call the member"
)


def test_a_wide_list_has_a_line_for_each_pattern() -> None:
    """Id first and action last: a pipe's reader finds a pattern in one line."""
    lines = rendered(listed([PROVEN, AUTHORED], 1000), 1000)
    head = "id success at least cases accounts type category action"
    assert " ".join(lines[0].split()) == head
    assert lines[2].split()[:7] == [ID, "90%", "81%", "42", "12", "churn_prevention", "spa"]
    assert lines[2].endswith("Send a personal reminder with 20% off")
    assert " ".join(lines[3].split()) == f"{ID} not enough data win_back gym Call the member"


def test_a_narrow_list_cuts_no_id() -> None:
    """Each pattern takes a few lines, its id one of its own."""
    assert rendered(listed([PROVEN, AUTHORED], 60), 60) == [
        ID,
        "  churn_prevention, spa: 90%, at least 81%, 42 cases, 12",
        "  accounts",
        "  Send a personal reminder with 20% off",
        ID,
        "  win_back, gym: not enough data",
        "  Call the member",
    ]


def test_a_pattern_that_has_stopped_working_is_marked() -> None:
    """Beside the success rate, which is of the past, and with its consequence on its own page."""
    pattern = Pattern()
    pattern.CopyFrom(PROVEN)
    pattern.state = Pattern.STATE_FADING
    assert "90% (fading)" in rendered(listed([pattern], 1000), 1000)[2]
    assert "90% (fading), at least 81%" in rendered(listed([pattern], 60), 60)[1]
    lines = rendered(shown(GetPatternResponse(pattern=pattern)), 120)
    assert any(line.startswith("state") and "is not applied until" in line for line in lines)


def test_a_pattern_that_harms_is_marked_and_says_why() -> None:
    """Beside the success rate, and with the guardrails that it crossed on its own page."""
    pattern = Pattern()
    pattern.CopyFrom(PROVEN)
    pattern.crossed_guardrails.extend([Pattern.GUARDRAIL_COMPLAINTS, Pattern.GUARDRAIL_LOSSES])
    assert "90% (harmful)" in rendered(listed([pattern], 1000), 1000)[2]
    lines = rendered(shown(GetPatternResponse(pattern=pattern)), 120)
    assert "not advised  customers complain of it, it loses money" in lines


def test_triggers_say_whose_they_are() -> None:
    """The author's without figures, then those that outcomes taught, or a word that there is none."""
    pattern = GetPatternResponse(pattern=PROVEN)
    none = "no author wrote a condition, and outcomes have taught none"
    assert none in rendered(shown(pattern), 200)
    pattern.authored_trigger = "review.rating <= 2"
    learned = pattern.learned_triggers.add(
        condition="customer.days_since_visit >= 61",
        precision=0.82,
        precision_low=0.74,
        precision_high=0.89,
        lift=1.6,
        case_count=1_234,
        account_count=18,
    )
    learned.lead_time.FromTimedelta(timedelta(days=6))
    pattern.learned_triggers.add(condition="visits == 1", precision=0.7)
    lines = [" ".join(line.split()) for line in rendered(shown(pattern), 200)]
    assert "its author review.rating <= 2" in lines
    figures = "82% (74% to 89%) 1.6 times 6 days 1,234 18"
    assert f"outcomes {figures} customer.days_since_visit >= 61" in lines
    assert "outcomes 70% (0% to 0%) 0.0 times 0 0 visits == 1" in lines


def test_what_became_of_advice_is_a_funnel() -> None:
    """With the reasons of dismissals, or a word that there is not enough data."""
    adoption = Adoption(
        shown_count=20,
        accepted_count=12,
        dismissed_count=6,
        done_count=9,
        adoption_rate=0.6,
        account_count=5,
        dismissals=[Adoption.Dismissals(reason=DISMISSAL_REASON_TOO_COSTLY, count=4)],
    )
    lines = rendered(shown(GetPatternResponse(pattern=PROVEN, adoption=adoption)), 120)
    assert "shown 20, accepted 12 (60%), dismissed 6, done 9; 5 accounts" in lines
    assert "dismissed because: too costly 4" in lines
    lines = rendered(shown(GetPatternResponse(pattern=PROVEN)), 120)
    assert "not enough data: too few accounts have reported reactions so far" in lines


def test_no_pattern_is_said() -> None:
    """An empty answer is not an empty screen."""
    assert rendered(listed([], 80), 80) == ["no published pattern matches"]


def test_an_authors_claim_is_shown_apart_from_the_evidence() -> None:
    """Figures that the author states, and what to do afterwards; none where nothing is claimed."""
    pattern = Pattern(
        pattern_id=ID,
        action="Call the member",
        author_claim=AuthorClaim(
            follow_up_action="Offer a complimentary service",
            success_rate=0.61,
            learned_from=47,
            rating_improvement=2.3,
        ),
    )
    lines = rendered(shown(GetPatternResponse(pattern=pattern)), 120)
    assert (
        "author claims  61% success, ratings 2.3 stars higher on average, learned from 47 businesses"
    ) in lines
    assert "afterwards     Offer a complimentary service" in lines
    assert ("state          authored, untested here: offered where nothing proven fits") in lines
    assert any(line.startswith("evidence") and "not enough data" in line for line in lines)
    assert pattern_json(pattern)["author_claim"]["learned_from"] == 47
    assert "adoption_rate" not in pattern_json(pattern)["author_claim"]

    unclaimed = rendered(shown(GetPatternResponse(pattern=PROVEN)), 120)
    assert not any(line.startswith("author") for line in unclaimed)


def test_hidden_evidence_is_never_zero() -> None:
    """An authored pattern that too few accounts have tried has no numbers, times or scripts to tell."""
    answer = GetPatternResponse(pattern=AUTHORED)
    lines = rendered(shown(answer), 100)
    assert "evidence    not enough data: too few accounts have tried it so far" in lines
    assert "discovered  not enough data" in lines
    assert "revenue     not enough data" in lines
    assert "no wording was used by enough accounts" in lines
    assert "not enough data for any period" in lines
    assert not any("0" in line for line in lines if ID not in line)
    assert "evidence" not in pattern_json(AUTHORED)
    assert "evidence" not in history_json(answer)["pattern"]


def test_a_pattern_comes_with_its_scripts_and_its_history() -> None:
    """Each wording and each period with what it rests on."""
    answer = GetPatternResponse(
        pattern=PROVEN,
        scripts=[GetPatternResponse.Script(template="Hi {name}!", evidence=PROVEN.evidence)],
        history=[GetPatternResponse.Period(occurrence_count=14, success_count=11)],
    )
    lines = rendered(shown(answer), 100)
    assert (
        "evidence    38 of 42 cases of 12 accounts succeeded: 90%, at least 81% with 95% certainty"
        in lines
    )
    assert "basis       in all situations together" in lines
    assert "    90%        81%      42         12   Hi {name}!" in lines
    assert "1970-01-01   1970-01-01      14          11       79%" in lines


def test_support_is_one_line_of_counts() -> None:
    """Both numbers, in the singular where they are one; waiting accounts where there are any."""
    chain = GetPatternSupportResponse(owner_count=1, account_count=3, waiting_account_count=1)
    assert supported(chain) == "not published; 1 owner, 3 accounts; 1 more account waiting to count"
    many = GetPatternSupportResponse(owner_count=1200, account_count=1201, published=True)
    assert supported(many) == "published; 1,200 owners, 1,201 accounts"


def test_a_list_has_the_orders_of_the_page_and_keeps_the_surer_first() -> None:
    """By the number that is named, the greatest first; of equals the one that the server lists before the other."""
    few = Pattern(pattern_id="few", evidence=Evidence(success_rate=0.95, occurrence_count=5))
    same = Pattern(pattern_id="same", evidence=Evidence(success_rate=0.95, occurrence_count=42))
    named = {"proven": PROVEN, "few": few, "same": same}

    def order(name: str) -> list[str]:
        found = in_order([PROVEN, few, same], name)
        return [next(key for key, each in named.items() if each is one) for one in found]

    assert order("surest") == ["proven", "few", "same"]
    assert order("rate") == ["few", "same", "proven"]
    assert order("cases") == ["proven", "same", "few"]
    assert order("accounts") == ["proven", "few", "same"]
