"""Who calls, and what that identity may do."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import Enum

from keeper_grpc.domain.access.limits import UNLIMITED, Limits

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@/-]{0,99}")
"""The form of an identity's name in the file of identities. No colon: the names that others give have one."""


class Role(Enum):
    """What an identity may do. None of them includes another."""

    CAPTURE = "capture"
    """Tell the network: captures, outcomes, reactions."""
    ENHANCE = "enhance"
    """Ask the network on behalf of an account."""
    OBSERVE = "observe"
    """Read what is published of the whole network: patterns, emerging patterns, metrics."""
    OPERATE = "operate"
    """AdminService: accounts, withdrawals, the audit log."""


ALL_ROLES = frozenset(Role)


@dataclass(frozen=True, slots=True)
class Identity:
    """An authenticated caller.

    accounts: the ids of the accounts that it may speak for, in their canonical form; None is every account.
    owners: the ids of the owners whose accounts it may speak for, too. loggable: an operator chose the name, so that it
    may stand in the log; the subject of a token may be a person.
    """

    name: str
    roles: frozenset[Role]
    accounts: frozenset[str] | None
    owners: frozenset[str] = field(default_factory=frozenset)
    limits: Limits = UNLIMITED
    loggable: bool = True

    @property
    def speaks_for_all(self) -> bool:
        """Whether it may speak for every account there is or will be."""
        return self.accounts is None


UNAUTHENTICATED = Identity("unauthenticated", ALL_ROLES, None)
"""Whoever calls a server that has no authentication."""

UNIDENTIFIED = Identity("unidentified", frozenset(), frozenset())
"""Whoever calls what is open to all, of a server that has authentication."""
