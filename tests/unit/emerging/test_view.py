from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from keeper_grpc.domain.emerging.model import Change, EmergingPattern, FeedEvent, FeedFilter, Place
from keeper_grpc.domain.emerging.view import FeedView, SeenChange
from keeper_grpc.usecases.emerging.messages import Changed
from keeper_grpc.usecases.emerging.queue import FeedQueue
from keeper_grpc.usecases.emerging.resume_token import Stream, read_token, write_token
from tests.integration.emerging.emerging_events import cluster

START = datetime(2026, 11, 1, tzinfo=UTC)
WINDOW = timedelta(seconds=5)
STREAM = Stream.of(UUID(int=1), FeedFilter())
GONE = (Change.FADED, Change.PROMOTED)


def place(sequence: int) -> Place:
    """A place in the one history of these tests."""
    return Place(sequence, UUID(int=sequence))


class Client:
    """The patterns that a subscriber knows. A change that does not fit them is an error."""

    def __init__(self) -> None:
        self.known: dict[UUID, EmergingPattern] = {}

    def begin(self, clusters: Sequence[EmergingPattern]) -> None:
        self.known = {each.emerging_pattern_id: each for each in clusters}

    def hear(self, change: Change, told: EmergingPattern) -> None:
        name = told.emerging_pattern_id
        assert (name in self.known) is (change is not Change.NEW), f"{change} of {name}"
        if change in GONE:
            del self.known[name]
        else:
            self.known[name] = told


@st.composite
def histories(draw: st.DrawFn) -> list[FeedEvent]:
    """Lives of a few clusters as a detector's events, one a second."""
    shown: set[int] = set()
    events = []
    for sequence, which in enumerate(draw(st.lists(st.integers(0, 3), max_size=25)), start=1):
        change = Change.NEW
        if which in shown:
            change = draw(st.sampled_from([Change.UPDATED, Change.UPDATED, *GONE]))
        (shown.discard if change in GONE else shown.add)(which)
        made = cluster(
            which,
            account_count=draw(st.integers(3, 5)),
            sighting_count=sequence,
            last_seen_time=START + timedelta(seconds=sequence - draw(st.integers(0, 2))),
        )
        events.append(FeedEvent(place(sequence), change, made))
    return events


filters = st.builds(
    FeedFilter, min_accounts=st.integers(3, 5), window=st.sampled_from([None, WINDOW])
)


def shown_at(events: Sequence[FeedEvent], sequence: int) -> list[EmergingPattern]:
    """What is emerging after an event, whoever looks."""
    last = {e.cluster.emerging_pattern_id: e for e in events if e.place.sequence <= sequence}
    return [event.cluster for event in last.values() if event.change not in GONE]


def matching(
    events: Sequence[FeedEvent], wanted: FeedFilter, sequence: int, now: datetime
) -> dict[UUID, EmergingPattern]:
    """What a subscriber should know then."""
    shown = shown_at(events, sequence)
    return {c.emerging_pattern_id: c for c in shown if wanted.matches(c, now)}


def live(view: FeedView, events: Sequence[FeedEvent]) -> list[SeenChange]:
    """What a view makes of events, with a look at the clock after every third."""
    told: list[SeenChange] = []
    for event in events:
        one = view.apply(event)
        told += [one] if one else []
        if event.place.sequence % 3 == 0:
            told += view.judge(START + timedelta(seconds=event.place.sequence))
    return told


@given(histories(), filters)
def test_a_subscriber_knows_exactly_what_matches(
    events: list[FeedEvent], wanted: FeedFilter
) -> None:
    """After every event and every look at the clock, by sensible changes alone."""
    view, client = FeedView(wanted, place(0), START), Client()
    judged = START
    for event in events:
        for told in live(view, [event]):
            client.hear(told.change, told.cluster)
        if event.place.sequence % 3 == 0 and wanted.window:
            judged = START + timedelta(seconds=event.place.sequence)
        assert client.known == matching(events, wanted, event.place.sequence, judged)


@given(histories(), filters, st.data())
def test_whoever_resumes_after_any_message_ends_up_with_the_same(
    events: list[FeedEvent], wanted: FeedFilter, data: st.DataObject
) -> None:
    """The token of the last message is enough: every change fits, and none is lost."""
    told = live(FeedView(wanted, place(0), START), events)
    heard = told[: data.draw(st.integers(0, len(told)))]
    client = Client()
    for each in heard:
        client.hear(each.change, each.cluster)
    if not heard:
        return
    position = heard[-1].position
    token = read_token(write_token(STREAM, position))
    assert token is not None
    assert token.position == position
    resumed = FeedView(wanted, position.place, position.judged or START)
    # Whoever was cut between two clusters that left the window at once is told the first one again.
    again = {
        c.emerging_pattern_id: c for c in resumed.begin(shown_at(events, position.place.sequence))
    }
    repeated = again.keys() - client.known.keys()
    assert {c: again[c] for c in again if c not in repeated} == client.known
    assert all(
        wanted.window and c in {h.cluster.emerging_pattern_id for h in heard} for c in repeated
    )
    client.known = dict(again)
    rest = live(
        resumed, [event for event in events if event.place.sequence > position.place.sequence]
    )
    for each in rest:
        client.hear(each.change, each.cluster)
    if wanted.window is None:
        assert [(t.change, t.cluster) for t in heard + rest] == [
            (t.change, t.cluster) for t in told
        ]
    end = START + timedelta(seconds=100)
    for each in resumed.judge(end):
        client.hear(each.change, each.cluster)
    assert client.known == matching(events, wanted, len(events), end)


@given(histories(), st.integers(3, 5), st.data())
def test_coalescing_loses_nothing_but_old_news(
    events: list[FeedEvent], min_accounts: int, data: st.DataObject
) -> None:
    """However a subscriber reads, and wherever it is cut off and resumes from its last token."""
    wanted = FeedFilter(min_accounts=min_accounts)
    view, queue, client = FeedView(wanted, place(0), START), FeedQueue(1000), Client()
    token = write_token(STREAM, view.position)
    lifecycle: list[tuple[Change, UUID]] = []

    def read() -> None:
        nonlocal token
        changed, token = queue.take()
        client.hear(changed.change, changed.cluster)
        if changed.change is not Change.UPDATED:
            lifecycle.append((changed.change, changed.cluster.emerging_pattern_id))

    for event in events:
        told = view.apply(event)
        if told:
            queue.put((Changed(told.change, told.cluster), write_token(STREAM, told.position)))
        for _ in range(data.draw(st.integers(0, len(queue)))):
            read()
    for _ in range(data.draw(st.integers(0, len(queue)))):
        read()
    # It is cut off here.
    resume = read_token(token)
    assert resume is not None
    assert resume.position is not None
    after = resume.position.place.sequence
    resumed = FeedView(wanted, place(after), START)
    resumed.begin(shown_at(events, after))
    for told in live(resumed, [event for event in events if event.place.sequence > after]):
        client.hear(told.change, told.cluster)
        if told.change is not Change.UPDATED:
            lifecycle.append((told.change, told.cluster.emerging_pattern_id))
    assert client.known == matching(events, wanted, len(events), START)
    everything = live(FeedView(wanted, place(0), START), events)
    assert lifecycle == [
        (told.change, told.cluster.emerging_pattern_id)
        for told in everything
        if told.change is not Change.UPDATED
    ]


def test_a_resume_gets_both_clusters_that_left_the_window_at_once() -> None:
    """The first one's token does not stand for the second."""
    wanted = FeedFilter(window=WINDOW)
    pair = [cluster(n, last_seen_time=START) for n in (1, 2)]
    view = FeedView(wanted, place(0), START)
    assert view.begin(pair) == pair
    first, second = view.judge(START + 2 * WINDOW)
    assert [first.cluster, second.cluster] == pair
    resumed = FeedView(wanted, place(0), first.position.judged or START)
    resumed.begin(pair)
    assert second.cluster in [told.cluster for told in resumed.judge(START + 2 * WINDOW)]
    assert second.position.judged is not None
    done = FeedView(wanted, place(0), second.position.judged)
    assert done.begin(pair) == []


def test_the_least_value_holds_at_its_limit_and_zero_means_any() -> None:
    """Potential values may be negative, and their sum with them."""
    worth, debt = cluster(1, total_potential_value=300.0), cluster(2, total_potential_value=-1.0)
    for least, seen in ((0.0, [worth, debt]), (300.0, [worth]), (300.01, [])):
        view = FeedView(FeedFilter(min_total_potential_value=least), place(0), START)
        assert view.begin([worth, debt]) == seen
