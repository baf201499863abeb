"""How streams are kept open, cut off and ended."""

from __future__ import annotations

from datetime import timedelta

from pydantic import BaseModel, Field

from keeper_grpc.settings.values import Count, Seconds


class StreamSettings(BaseModel):
    """Heartbeats, buffers and ages."""

    stream_heartbeat: Seconds = Field(
        timedelta(seconds=15), description="silence after which a stream sends a heartbeat"
    )
    stream_in_flight: Count = Field(
        32, description="questions of one EnhanceInsights stream that are worked on at once"
    )
    stream_buffer: Count = Field(
        1_000, description="changes a stream may lag behind before it is cut off"
    )
    stream_stall: Seconds = Field(
        timedelta(seconds=30),
        description="time a message may wait for its reader before the cut-off",
    )
    stream_max_age: Seconds = Field(
        timedelta(hours=1),
        description="age, give or take a fifth, at which a stream ends and its reader resumes",
    )
