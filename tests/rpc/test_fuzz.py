from __future__ import annotations

import structlog

from bench.fuzz.calls import DEFECTS, Fuzz, methods
from tests.rpc.service import Service


async def test_no_request_makes_the_service_fail(service: Service) -> None:
    """Some hundred calls of random bytes, improbable messages and damaged ones end well or with a readable error."""
    fuzz = Fuzz(service.channel, seed=7)
    with structlog.testing.capture_logs() as lines:
        await fuzz.run(range(300), at_once=8)
    assert fuzz.tally.wrong == []
    assert [line for line in lines if line["log_level"] == "error"] == []
    ends = fuzz.tally.ends
    assert not DEFECTS & {code for _, code in ends}
    # It reaches what it is to test: every RPC, refusals and answers.
    called = {rpc.rpartition("/")[2] for rpc, _ in ends if "/" in rpc}
    assert called == {method.name for method in methods()}
    assert {"OK", "INVALID_ARGUMENT", "NOT_FOUND"} <= {code for _, code in ends}
