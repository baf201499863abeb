"""What the TLS layer says of a client."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PeerNames:
    """The names in a client certificate that the TLS layer has verified.

    alternative: of its subjectAltName, of any type. common: of its subject.
    """

    alternative: Sequence[str] = ()
    common: Sequence[str] = ()
