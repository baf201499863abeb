"""How long what was stored is kept."""

from __future__ import annotations

from datetime import timedelta

from pydantic import BaseModel, Field

from keeper_grpc.settings.values import Seconds


class RetentionSettings(BaseModel):
    """Times after which rows are deleted or rolled up."""

    event_retention: Seconds = Field(
        timedelta(days=30),
        description="time for which a stream can be resumed; older events are deleted",
    )
    enhancement_retention: Seconds = Field(
        timedelta(days=90),
        description="time for which an outcome of advice can be reported; older questions without one are rolled up "
        "by account and day",
    )
    request_retention: Seconds = Field(
        timedelta(days=365),
        description="time for which a retry is recognized by its request_id; a later one counts again",
    )
    word_retention: Seconds = Field(
        timedelta(days=365),
        description="time for which the use of a word that fewer than k owners use is remembered",
    )
    audit_retention: Seconds = Field(
        timedelta(days=730), description="time for which what operators did can be listed"
    )
    tombstone_retention: Seconds = Field(
        timedelta(days=30),
        description="time for which a forgotten account cannot come back without an operator",
    )
