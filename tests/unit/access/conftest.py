from __future__ import annotations

from collections.abc import Iterator

import pytest
import structlog


@pytest.fixture(autouse=True)
def own_log_context() -> Iterator[None]:
    """What a refusal adds to the log lines of its call ends with the test, which is no call."""
    yield
    structlog.contextvars.unbind_contextvars("token_refused")
