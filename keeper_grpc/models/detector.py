"""The emerging-pattern detector of the model in use."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import NoReturn

from keeper_grpc.domain.errors import PatternsMoved, Unavailable
from keeper_grpc.embedding.cache import CachedEmbedder
from keeper_grpc.models.in_use import POLL, ModelInUse
from keeper_grpc.usecases.emerging.detector import DetectEmerging


class DetectorInUse:
    """Detects under one model until the database has another, and then under that."""

    def __init__(
        self, models: ModelInUse, make: Callable[[CachedEmbedder], DetectEmerging]
    ) -> None:
        self._models = models
        self._make = make
        self._detector = make(models.current)
        self._steps_before = 0
        self._errors_before = 0

    @property
    def leads(self) -> bool:
        return self._detector.leads

    @property
    def steps(self) -> int:
        return self._steps_before + self._detector.steps

    @property
    def errors(self) -> int:
        return self._errors_before + self._detector.errors

    @property
    def step_age(self) -> float:
        return self._detector.step_age

    @property
    def step_seconds(self) -> float:
        return self._detector.step_seconds

    async def run(self) -> NoReturn:
        """Detect, for ever. Raises what DetectEmerging raises."""
        while True:
            try:
                await self._detector.run()
            except PatternsMoved:
                await self._follow()

    async def _follow(self) -> None:
        try:
            embedder = await self._models.follow()
        except Unavailable:
            # Noted there; while the database is away there is nothing to detect.
            await asyncio.sleep(POLL)
            return
        self._steps_before, self._errors_before = self.steps, self.errors
        self._detector = self._make(embedder)
