from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from hypothesis import given
from hypothesis import strategies as st

from keeper_grpc.domain.evidence.sums import MOST_WORDINGS, Counted, PatternSums
from keeper_grpc.domain.evidence.tally import Part, Share, Tally

START = datetime(2026, 1, 1, tzinfo=UTC)
HALF_LIFE = timedelta(days=45)
PATTERNS = [UUID(int=n) for n in range(1, 3)]
ACCOUNTS = ("a", "b")


def outcome(account: str, action: str, hour: int, *, success: bool) -> Counted:
    """One captured outcome that says all that one may say."""
    return Counted(
        account_key=account,
        conditions={"day": hour % 3},
        action=action,
        script=action * (hour % 2),
        success=success,
        net_revenue=hour / 4,
        costed=hour % 2 == 0,
        complained=None if hour % 3 else success,
        unsubscribed=None,
        occurred_time=START + timedelta(hours=hour),
        own_words=True,
    )


outcomes = st.lists(
    st.tuples(
        st.sampled_from(PATTERNS),
        st.builds(
            outcome,
            st.sampled_from(ACCOUNTS),
            st.sampled_from([f"action {n}" for n in range(MOST_WORDINGS + 4)]),
            st.integers(0, 200),
            success=st.booleans(),
        ),
    ),
    max_size=40,
)


class Kept:
    """What is kept between groups, as the tables keep it."""

    def __init__(self, step: int) -> None:
        self.step = step
        self.shares: dict[Part, Share] = {}
        self.sums: list[tuple[UUID, PatternSums]] = []
        self.counted: set[UUID] = set()

    def write(self, group: Sequence[tuple[UUID, UUID, Counted]]) -> None:
        """Count a group upon what is kept."""
        known = {
            part: Share(own.counted, dict(own.waiting), set(own.actions))
            for part, own in self.shares.items()
        }
        tally = Tally(known, self.step, HALF_LIFE)
        for each, pattern, one in group:
            tally.take(each, pattern, one)
        self.counted |= tally.begun
        self.sums += tally.sums.items()
        for each, pattern, one in group:
            own = self.shares.setdefault((pattern, one.account_key), Share())
            own.waiting[each] = one
        for part, own in self.shares.items():
            begun = [each for each in own.waiting if each in tally.begun]
            for each in begun:
                del own.waiting[each]
            own.counted += len(begun)
            if part[0] in tally.sums:
                own.actions |= set(tally.sums[part[0]].wordings.get(part[1], {}))

    def total(self) -> dict[object, tuple[float, ...]]:
        """All sums added up, exactly comparable: weights are powers of two and revenues quarters."""
        totals: dict[object, list[float]] = {}
        for pattern, sums in self.sums:
            for kind in ("accounts", "facets", "scripts"):
                for key, share in getattr(sums, kind).items():
                    values = [
                        share.trials,
                        share.successes,
                        share.revenue_total,
                        share.revenue_count,
                    ]
                    own = totals.setdefault((pattern, kind, key), [0.0] * 4)
                    totals[pattern, kind, key] = [a + b for a, b in zip(own, values, strict=True)]
        return {key: tuple(values) for key, values in totals.items()}

    def wordings(self) -> set[tuple[UUID, str, str]]:
        """Every wording that was kept."""
        return {
            (pattern, account, action)
            for pattern, sums in self.sums
            for account, actions in sums.wordings.items()
            for action in actions
        }


@given(outcomes, st.integers(1, 6), st.lists(st.integers(1, 9)))
def test_a_group_counts_as_its_outcomes_one_by_one(
    came: list[tuple[UUID, Counted]], step: int, sizes: list[int]
) -> None:
    """However outcomes are cut into groups, the same count, wait, and add up to the same sums and wordings."""
    entries = [(uuid4(), pattern, one) for pattern, one in came]
    alone, grouped = Kept(step), Kept(step)
    for entry in entries:
        alone.write([entry])
    rest = entries
    for size in [*sizes, len(entries) or 1]:
        grouped.write(rest[:size])
        rest = rest[size:]
    assert grouped.counted == alone.counted
    assert grouped.total() == alone.total()
    assert grouped.wordings() == alone.wordings()
    assert {part: set(own.waiting) for part, own in grouped.shares.items() if own.waiting} == {
        part: set(own.waiting) for part, own in alone.shares.items() if own.waiting
    }


def test_what_an_account_observes_in_a_category_it_left_counts_for_nobody() -> None:
    """It is written and counted as due, and adds to no share."""
    pattern = PATTERNS[0]
    tally = Tally({(pattern, "a"): Share(belongs=False)}, 1, HALF_LIFE)
    tally.take(uuid4(), pattern, outcome("a", "call", 1, success=True))
    assert len(tally.begun) == 1
    sums = tally.sums[pattern]
    assert (sums.observations, dict(sums.accounts), dict(sums.wordings)) == (1, {}, {})
