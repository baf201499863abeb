"""What a process exports to Prometheus, read once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import httpx
from prometheus_client.parser import text_string_to_metric_families

_LARGEST = 8_000_000
"""Bytes of an answer that are read: a server's own page has some hundred thousand at most."""


class NotScraped(Exception):
    """A process does not answer with metrics. The message says why, and holds nothing of the answer."""


@dataclass(frozen=True, slots=True)
class Scrape:
    """Series by name, each with its labels and value, and the moment by the event loop's clock."""

    moment: float
    series: Mapping[str, list[tuple[Mapping[str, str], float]]]

    @classmethod
    def read(cls, text: str, moment: float) -> Scrape:
        """Read what an endpoint answered. Raises ValueError."""
        series: dict[str, list[tuple[Mapping[str, str], float]]] = defaultdict(list)
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                series[sample.name].append((sample.labels, sample.value))
        return cls(moment, series)

    def value(self, name: str, **labels: str) -> float | None:
        """The sum of the series with these labels; None where there is none."""
        found = [v for own, v in self.series.get(name, ()) if labels.items() <= own.items()]
        return sum(found) if found else None

    def each(self, name: str) -> Iterator[tuple[Mapping[str, str], float]]:
        """Each series of a name."""
        return iter(self.series.get(name, ()))

    def labels(self, name: str, label: str) -> list[str]:
        """The values that a label has in the series of a name, each once, in their order."""
        return list(dict.fromkeys(own[label] for own, _ in self.each(name) if label in own))


def by_label(series: Iterable[tuple[Mapping[str, str], float]], label: str) -> dict[str, float]:
    """The sums of series, by the values of a label."""
    found: dict[str, float] = defaultdict(float)
    for own, value in series:
        found[own[label]] += value
    return found


async def scrape(http: httpx.AsyncClient, url: str, moment: float) -> Scrape:
    """Read a process's endpoint. Raises NotScraped."""
    try:
        async with http.stream("GET", url) as answer:
            if answer.status_code != httpx.codes.OK:
                raise NotScraped(f"it answers with {answer.status_code}")
            body = bytearray()
            async for part in answer.aiter_bytes():
                body += part
                if len(body) > _LARGEST:
                    raise NotScraped("its answer is too long")
        return Scrape.read(body.decode(), moment)
    except httpx.HTTPError as error:
        raise NotScraped("it does not answer") from error
    except ValueError as error:
        raise NotScraped("what it answers is no metrics") from error
