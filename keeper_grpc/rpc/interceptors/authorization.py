"""Refuses a request of an account, or an owner, for which its caller may not speak."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from keeper_grpc.domain.access.identity import UNIDENTIFIED, Identity
from keeper_grpc.gen.keeper.network.v1.admin_service_pb2 import (
    RegisterAccountRequest,
    UpdateAccountRequest,
)
from keeper_grpc.rpc.interceptors.concern import Call, Concern
from keeper_grpc.rpc.permissions import PERMISSIONS, Reach
from keeper_grpc.usecases.accounts.speak_for import SpeakFor


class Authorization(Concern):
    """Runs after validation, which puts the ids of a request into their one form, and before anything is looked up.

    It does not see the messages of a client's stream; `rpc/streams/admission.py` asks for each of them.
    """

    def __init__(self, speak_for: SpeakFor) -> None:
        self._speak_for = speak_for

    def begin(self, call: Call) -> Awaitable[None] | None:
        """Raise AccountNotAllowed, or let the awaitable do so."""
        identity = call.identity
        if call.request is None or identity is UNIDENTIFIED or identity.speaks_for_all:
            return None
        permission = PERMISSIONS.get(call.method)
        if permission is None or permission.reach is not Reach.ACCOUNT:
            return None
        return self._check(identity, call.request)

    def _check(self, identity: Identity, request: Any) -> Awaitable[None] | None:
        if isinstance(request, RegisterAccountRequest):
            return self._speak_for.registration(identity, request.account_id, request.owner_id)
        if isinstance(request, UpdateAccountRequest):
            owner_id = request.owner_id if request.HasField("owner_id") else None
            return self._speak_for.correction(identity, request.account_id, owner_id)
        return self._speak_for.account(identity, request.account_id)
