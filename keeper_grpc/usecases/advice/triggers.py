"""Reading stored triggers."""

from __future__ import annotations

from uuid import UUID

import structlog

from keeper_grpc.domain.authored.triggers import Trigger, TriggerInvalid, parse_trigger

log = structlog.get_logger()


def usable_trigger(pattern_id: UUID, text: str) -> Trigger | None:
    """The trigger, unless another release stored it and this one's vocabulary lacks its facts."""
    try:
        return parse_trigger(text)
    except TriggerInvalid as error:
        log.warning("trigger_skipped", pattern_id=str(pattern_id), reason=str(error))
        return None
