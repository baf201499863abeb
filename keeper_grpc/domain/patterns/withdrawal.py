"""Why an operator takes a pattern or a script back."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from enum import Enum


class WithdrawalReason(Enum):
    """A word for the audit log, instead of a text that could hold anything."""

    HARMFUL = "harmful"
    IDENTIFYING = "identifying"
    WRONG = "wrong"
    OUTDATED = "outdated"
    OTHER = "other"


def wording_hash(script: str) -> bytes:
    """Under which a script is withdrawn: equal for wordings that differ in case, blanks, marks and folding only.

    Otherwise k owners could bring it back with a full stop more.
    """
    folded = unicodedata.normalize("NFKC", script).casefold()
    return hashlib.sha256(" ".join(re.findall(r"\w+", folded)).encode()).digest()
