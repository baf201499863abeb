"""What a worker is told by its parent."""

from __future__ import annotations

import pytest

from keeper_grpc.settings import Settings
from keeper_grpc.workers.place import Worker


@pytest.mark.parametrize(
    ("configured", "expected"), [(None, [None, None]), (0, [0, 0]), (9_100, [9_100, 9_101])]
)
def test_each_worker_has_a_metrics_port(configured: int | None, expected: list[int | None]) -> None:
    """The next one for the next worker; a free one or none where that is configured."""
    common = Settings(metrics_port=configured)
    workers = [Worker(number, 50_051, None).settings(common) for number in (1, 2)]
    assert [each.metrics_port for each in workers] == expected
    assert {each.port for each in workers} == {50_051}


def test_a_place_is_read_as_it_was_written() -> None:
    """Also of a bundled database."""
    worker = Worker(3, 50_051, "postgresql://keeper@/keeper?host=/tmp/a b&port=5432")
    assert Worker.from_json(worker.to_json()) == worker
