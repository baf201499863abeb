"""The server's processes, as their metrics tell: what they are now, and what they did within the last minute."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import urlsplit

import httpx

from keeper_grpc.dashboard.upstream.feed import Feed
from keeper_grpc.dashboard.upstream.scrape import NotScraped, Scrape, scrape

_PACE = 5.0
"""Seconds between two looks."""

_SPAN = 60.0
"""Seconds over which rates are taken: a call that comes once in a while would flicker in a shorter time."""

_TIMEOUT = 3.0
"""Seconds in which a process answers."""


class Process:
    """One process. `last` is its newest scrape, None while it does not answer; `problem` then says why."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.problem = "not looked at yet"
        self._scrapes: deque[Scrape] = deque()

    @property
    def name(self) -> str:
        """Where its metrics are, for people."""
        return urlsplit(self.url).netloc

    @property
    def last(self) -> Scrape | None:
        return self._scrapes[-1] if self._scrapes else None

    def take(self, found: Scrape) -> None:
        """Keep a scrape, and what is needed of those before."""
        self.problem = ""
        self._scrapes.append(found)
        # The second one is what rates begin with as long as it is old enough itself.
        while len(self._scrapes) > 2 and found.moment - self._scrapes[1].moment >= _SPAN:  # noqa: PLR2004 - first and last stay
            self._scrapes.popleft()

    def lost(self, problem: str) -> None:
        """It does not answer; whatever it counted may begin anew when it does."""
        self.problem = problem
        self._scrapes.clear()

    def rates(self, name: str) -> Iterator[tuple[Mapping[str, str], float]]:
        """How fast each series of a counter grew, a second; none before the second scrape.

        A series that fell belongs to a process that was started anew: it counts from zero.
        """
        if len(self._scrapes) < 2:  # noqa: PLR2004 - a rate needs two
            return
        first, last = self._scrapes[0], self._scrapes[-1]
        before = {tuple(sorted(own.items())): value for own, value in first.each(name)}
        for own, value in last.each(name):
            earlier = before.get(tuple(sorted(own.items())), 0.0)
            grown = value - earlier if value >= earlier else value
            yield own, grown / (last.moment - first.moment)


class Processes(Feed):
    """All of them, looked at while somebody looks."""

    def __init__(self, urls: Sequence[str]) -> None:
        super().__init__()
        self.all: Sequence[Process] = [Process(url) for url in urls]

    @property
    def answering(self) -> Sequence[Process]:
        """Those whose metrics are known."""
        return [process for process in self.all if process.last is not None]

    @property
    def known(self) -> bool:
        return bool(self.answering)

    async def _follow(self) -> None:
        # No proxy and no redirect: what is asked is what the operator has named.
        async with httpx.AsyncClient(timeout=_TIMEOUT, trust_env=False) as http:
            while True:
                await asyncio.gather(*(self._look(http, process) for process in self.all))
                self.problem = None
                self._changed()
                await asyncio.sleep(_PACE)

    @staticmethod
    async def _look(http: httpx.AsyncClient, process: Process) -> None:
        try:
            process.take(await scrape(http, process.url, asyncio.get_running_loop().time()))
        except NotScraped as error:
            process.lost(str(error))
