from __future__ import annotations

import asyncio

from tests.e2e.calls import Subscription, emerge
from tests.e2e.conftest import StartServer
from tests.e2e.server_process import ServerProcess
from tests.e2e.waiting import SOON, until


def leads(server: ServerProcess) -> bool:
    """Whether it ever became the leader."""
    return bool(server.events("emerging_detector_leads"))


async def test_a_killed_leader_is_replaced_and_its_subscribers_go_on_elsewhere(
    start_server: StartServer, database_of_its_own: str
) -> None:
    """The survivor detects; a resume token of the dead one misses nothing."""
    servers = await asyncio.gather(
        start_server(database_url=database_of_its_own),
        start_server(database_url=database_of_its_own),
    )
    await until(lambda: any(map(leads, servers)), within=SOON, what="one leads")
    leader, survivor = sorted(servers, key=leads, reverse=True)
    assert not leads(survivor)
    async with leader.channel() as doomed, survivor.channel() as channel:
        lost, kept = Subscription(doomed), Subscription(channel)
        await until(lambda: lost.complete and kept.complete, within=SOON, what="snapshots")
        await emerge(doomed, "Text late guests on the way", insight_type="late_arrival")
        await until(
            lambda: lost.changes("late_arrival") and kept.changes("late_arrival"),
            within=SOON,
            what="subscribers of both servers see it",
        )
        seen = len(kept.changes())

        await leader.kill()
        await until(lambda: lost.error is not None, within=SOON, what="the stream broke")
        await emerge(channel, "Offer gift cards at the desk", insight_type="gift_cards")
        await until(lambda: kept.changes("gift_cards"), within=SOON, what="the survivor leads")

        resumed = Subscription(channel, lost.resume_token)
        await until(lambda: resumed.changes("gift_cards"), within=SOON, what="the missed events")
        # What comes next on both proves that nothing else was under way.
        await emerge(channel, "Open at six on workdays", insight_type="opening_hours")
        await until(
            lambda: kept.changes("opening_hours") and resumed.changes("opening_hours"),
            within=SOON,
            what="the next event",
        )
        assert lost.changes() == kept.changes()[:seen]
        assert resumed.changes() == kept.changes()[seen:]
        assert not resumed.complete, "a resumed stream needs no snapshot"
        for stream in (lost, kept, resumed):
            await stream.close()
