from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import grpc
import pytest

from keeper_grpc.gen.keeper.network.v1 import network_service_pb2
from keeper_grpc.gen.keeper.network.v1.admin_service_pb2 import (
    ForgetAccountRequest,
    RegisterAccountRequest,
)
from tests.rpc.advice.facts import (
    BAD_REVIEW,
    MORNING,
    request,
)
from tests.rpc.refusal import refusal
from tests.rpc.requests import new_account
from tests.rpc.service import Service

pytestmark = pytest.mark.usefixtures("seeded")


@pytest.mark.parametrize(
    "facts",
    [
        {},
        {"weather": "rain"},
        {"customer": {"days_since_visit": 60}},
        {"customer": {"days_since_visit": "60", "avg_frequency": 28}},
        {"customer": [60, 28]},
        {"review": 2},
        {"review": {"rating": None}},
        {"review.rating": 2},
    ],
)
async def test_facts_that_are_missing_or_of_another_kind_bring_no_move(
    service: Service, facts: Mapping[str, Any]
) -> None:
    """The answer is empty, not an error."""
    message = request(facts)
    message.facts.SetInParent()
    answer = await service.network.SuggestMoves(message)
    assert not answer.moves


async def test_a_call_does_not_tell_which_accounts_are_known(service: Service) -> None:
    """A registered, a forgotten and an unheard-of account get one answer, whatever category is named or left out."""
    registered, forgotten, unheard = new_account(), new_account(), new_account()
    for account in (registered, forgotten):
        await service.admin.RegisterAccount(
            RegisterAccountRequest(account_id=account, business_category="salon")
        )
    await service.admin.ForgetAccount(ForgetAccountRequest(account_id=forgotten))

    asked = (registered, forgotten, unheard)
    refused = [
        await refusal(service.network.SuggestMoves(request(MORNING, account=account, category="")))
        for account in asked
    ]
    assert refused[0].code is grpc.StatusCode.INVALID_ARGUMENT
    assert refused[0].fields.keys() == {"business_category"}
    assert refused == [refused[0]] * 3
    for category in ("salon", "spa"):
        answers = [
            await service.network.SuggestMoves(request(MORNING, account=account, category=category))
            for account in asked
        ]
        assert [move.pattern.business_category for move in answers[0].moves] == [category]
        assert answers == [answers[0]] * 3


async def test_a_call_registers_no_account(service: Service) -> None:
    """Who asks for moves fixes nobody's category."""
    account = new_account()
    await service.network.SuggestMoves(request(MORNING, account=account, category="salon"))
    registered = RegisterAccountRequest(account_id=account, business_category="spa")
    assert (await service.admin.RegisterAccount(registered)).created


def nested(depth: int) -> dict[str, Any]:
    """A fact so many levels down."""
    return {"a": nested(depth - 1)} if depth else {"a": 1}


@pytest.mark.parametrize(
    ("facts", "complaint"),
    [
        ({"customer": {"note": "x" * 17_000}}, "at most 16384 bytes"),
        (nested(8), "nested deeper than 8 levels"),
        ({"customer": {"ltv": float("nan")}}, "numbers must be finite"),
        ({"customer": {"ltv": float("inf")}}, "numbers must be finite"),
        ({"visit": {"day_of_week": "monday\0"}}, "must not contain control characters"),
    ],
)
async def test_facts_beyond_the_bounds_are_refused(
    service: Service, facts: Mapping[str, Any], complaint: str
) -> None:
    """Too large, too deep, infinite and unprintable facts are the caller's fault."""
    refused = await refusal(service.network.SuggestMoves(request(facts)))
    assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
    assert refused.fields == {"facts": complaint}


@pytest.mark.parametrize(
    ("field", "value"), [("account_id", ""), ("business_category", "A Spa"), ("max_moves", -1)]
)
async def test_broken_rules_name_their_field(service: Service, field: str, value: Any) -> None:
    """What the proto demands is checked before anything else."""
    message = request(MORNING)
    setattr(message, field, value)
    refused = await refusal(service.network.SuggestMoves(message))
    assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
    assert refused.fields.keys() == {field}


async def test_a_request_without_facts_is_refused(service: Service) -> None:
    """Nothing to go by is a mistake; an empty set of facts is not."""
    message = network_service_pb2.SuggestMovesRequest(
        account_id=new_account(), business_category="spa"
    )
    refused = await refusal(service.network.SuggestMoves(message))
    assert refused.fields.keys() == {"facts"}


async def test_facts_are_neither_stored_nor_logged(
    service: Service, capfd: pytest.CaptureFixture[str]
) -> None:
    """A word of the facts is in the reply, and in no table and no log line."""
    canary = "quokka"
    facts = {**BAD_REVIEW, "visit": {"day_of_week": canary}}
    await service.database.execute(
        "UPDATE network_patterns SET trigger = $1 "
        "WHERE catalog_key = 'negative_review_recovery' AND business_category = 'salon'",
        'review.rating <= 2 && visit.day_of_week != "monday"',
    )
    answer = await service.network.SuggestMoves(request(facts, category="salon"))
    assert any(canary in move.explanation for move in answer.moves)

    tables = await service.database.fetch(
        "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
    )
    assert {"accounts", "observations", "sightings"} <= {row["tablename"] for row in tables}
    for row in tables:
        holding = await service.value(
            f'SELECT count(*) FROM "{row["tablename"]}" t WHERE t::text ILIKE $1',  # noqa: S608 - a table's own name
            f"%{canary}%",
        )
        assert holding == 0, row["tablename"]
    logged = capfd.readouterr()
    assert canary not in logged.out + logged.err
