"""Answers that asking again does not change: who the dashboard is decides them."""

from __future__ import annotations

from typing import Final

from grpc import StatusCode

REFUSED: Final = frozenset({StatusCode.PERMISSION_DENIED, StatusCode.UNAUTHENTICATED})
