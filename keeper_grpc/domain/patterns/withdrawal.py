"""Why an operator takes a pattern or a script back."""

from __future__ import annotations

from enum import Enum


class WithdrawalReason(Enum):
    """A word for the audit log, instead of a text that could hold anything."""

    HARMFUL = "harmful"
    IDENTIFYING = "identifying"
    WRONG = "wrong"
    OUTDATED = "outdated"
    OTHER = "other"
