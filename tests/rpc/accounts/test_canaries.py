"""Identifying texts of every kind, in every text field of every call, with each layer failing in turn:
afterwards they are in no table, no log line, no error, no emerging event, and nothing that was embedded.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from keeper_grpc.domain.insight import Identifiers, Insight
from keeper_grpc.gen.keeper.network.v1 import (
    admin_service_pb2,
    insight_pb2,
    network_service_pb2,
)
from keeper_grpc.privacy.anonymizer import Anonymizer, HashWord
from keeper_grpc.privacy.keys.pseudonyms import Pseudonyms
from keeper_grpc.privacy.layers.structured import Structured
from tests.integration.openai_stand_in import OpenAIStandIn
from tests.rpc.accounts.text_fields import filled, methods, text_fields, unreturned
from tests.rpc.requests import new_topic
from tests.rpc.service import Service, openai, running

DECLARED = insight_pb2.Identifiers(
    customer_names=["Zorabella Quintavalle", "Clementine Wexcombe"],
    customer_emails=["zorabella@quintavalle.example"],
    customer_phones=["+1 (415) 555-0142"],
    business_names=["Moonquartz Retreat", "Copper Lantern"],
    employee_names=["Thaddeusz Wexcombe"],
    addresses=["742 Larkspurry Terrace, Brimhollow"],
)
PROSE = (
    "Call Zorabella Quintavalle, or zorabella's sister Ingravelda Tsokovic, at 415.555.0142 or "
    "0044 20 7946 0958, write to zorabella@quintavalle.example or ing.tsokovic@mailbox.example, "
    "charge 4111 1111 1111 1111, SSN 078-05-1120, see https://quintavalle.example/zora or "
    "@zorabella_q from 203.0.113.77, visit 742 Larkspurry Terrace, Brimhollow; "
    "clementine allergic to latex, waiting on clementine; welcome to {copper_lantern}; party of 4 at "
    "287 New Haven Street; locker B-21789; cell (415) five five five 0142; "
    "ask Thaddeusz Wexcombe of Moonquartz Retreat about the shimmerox soak"
)
# Digits stand with their separators: bare ones occur in vectors and hashes by chance.
CANARIES = (
    *[
        "zorabella",
        "quintavalle",
        "ingravelda",
        "tsokovic",
        "mailbox.example",
        "zorabella_q",
        "203.0.113.77",
    ],
    *[
        "larkspurry",
        "brimhollow",
        "thaddeusz",
        "wexcombe",
        "moonquartz",
        "acct-canary",
        "078-05-1120",
    ],
    "clementine",
    "copper_lantern",
    "copper lantern",
    "new haven",
    "b-21789",
    "five five five",
    "415.555.0142",
    "(415) 555",
    "20 7946",
    "4111 1111",
)

UNKNOWN = "shimmerox"  # identifies nobody: the one word that accounts may approve
WORDS = {word.lower() for word in re.findall(r"[A-Za-z]{4,}", f"{PROSE} {DECLARED}")} - {UNKNOWN}
# The key that tests/rpc/service.py configures.
KEYS = Pseudonyms({"test": bytes(range(32))}, "test")

# Bound before a fixture puts a broken one in its place.
unbroken = Anonymizer.default
LAYERS = (
    "declared",
    "protected",
    "recognizers",
    "slips",
    "coverage",
    "establishments",
    "names",
    "health",
    "unknown_words",
    "rests",
)
FAILING = ("none", *LAYERS, "structured", "recheck", "word lists")


def fail(*_: Any) -> Any:
    """A layer that has broken."""
    raise RuntimeError(PROSE)


class Broken(Structured):
    """A structured layer of which nothing works."""

    def __init__(self) -> None:
        """It needs no keys."""

    def harvest(self, *_: Any) -> Any:
        """Fail."""
        return fail()

    def share(self, *_: Any) -> Any:
        """Fail."""
        return fail()


def broken(failing: str, hash_word: HashWord | None = None) -> Anonymizer:
    """An anonymizer in which one part fails."""
    anonymizer = unbroken(hash_word=hash_word)
    assert tuple(anonymizer.layers) == LAYERS
    if failing in LAYERS:
        anonymizer.layers[failing] = fail
    elif failing == "structured":
        anonymizer.structured = Broken()
    elif failing == "recheck":
        anonymizer.recheck = fail
    elif failing == "word lists":
        anonymizer = Anonymizer(vocabulary=None)
    return anonymizer


def insight(topic: str, **overrides: Any) -> insight_pb2.Insight:
    """An insight with canaries wherever there is text."""
    fields: dict[str, Any] = {
        "insight_id": "for Zorabella Quintavalle",
        "type": topic,
        "business_category": "spa",
        "action": PROSE,
        "script": PROSE,
        "confidence": 0.5,
    }
    message = insight_pb2.Insight(**fields | overrides)
    message.conditions.update(
        {
            "service": PROSE,
            "customer_name": "Zorabella Quintavalle",
            "zorabella_quintavalle": "yes",
            "notes": PROSE,
            "membership_tier": {"ingravelda tsokovic": [PROSE]},
            "days_since_visit": 40,
        }
    )
    return message


@pytest.fixture(scope="module", params=FAILING)
async def leaky(
    request: pytest.FixtureRequest, database_url: str
) -> AsyncIterator[tuple[Service, OpenAIStandIn]]:
    """A service whose anonymizer has one broken part, and what it sends out to be embedded."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "keeper_grpc.composition.shared.Anonymizer.default",
            lambda *_, **given: broken(request.param, given["hash_word"]),
        )
        async with (
            OpenAIStandIn() as embeddings,
            running(database_url, **openai(embeddings.base_url)) as service,
        ):
            yield service, embeddings
            # What is embedded in this run was not cached by one before; "nothing" would prove nothing.
            assert request.param != "none" or embeddings.texts


async def call_everything(service: Service) -> str:
    """Call every method with canaries; everything that errors said, as one text."""
    account = "acct-canary Zorabella Quintavalle"
    topic = new_topic()
    said: list[str] = []

    async def ask(call: Any) -> Any:
        try:
            return await call
        except grpc.aio.AioRpcError as error:
            said.extend([error.details() or "", str(error.trailing_metadata())])

    network, admin = service.network, service.admin
    for overrides in (
        {},
        {"type": "zorabella_quintavalle"},
        {"business_category": "moonquartz_retreat"},
        {"type": "NOT VALID " + PROSE},
    ):
        for number in range(3):
            await ask(
                network.CapturePattern(
                    network_service_pb2.CapturePatternRequest(
                        request_id=str(uuid.uuid4()),
                        account_id=f"{account} {number} {overrides.get('business_category')}",
                        insight=insight(topic, **overrides),
                        outcome=insight_pb2.Outcome(success=True),
                        identifiers=DECLARED,
                    )
                )
            )
        question = network_service_pb2.EnhanceInsightRequest(
            account_id=f"{account} {overrides.get('business_category')}",
            insight=insight(topic, **overrides),
            identifiers=DECLARED,
        )
        answer = await ask(network.EnhanceInsight(question))
        if answer is not None:
            await ask(
                network.ReportOutcome(
                    network_service_pb2.ReportOutcomeRequest(
                        request_id=str(uuid.uuid4()),
                        account_id=question.account_id,
                        enhancement_id=answer.enhancement_id,
                        outcome=insight_pb2.Outcome(success=True),
                    )
                )
            )
            await ask(
                network.GenerateTask(
                    network_service_pb2.GenerateTaskRequest(
                        account_id=question.account_id, enhancement_id=answer.enhancement_id
                    )
                )
            )
        stream = network.EnhanceInsights(
            iter(
                [
                    network_service_pb2.EnhanceInsightsRequest(
                        correlation_id="Zorabella Quintavalle", request=question
                    )
                ]
            )
        )
        said.extend([str(item.error) async for item in stream])
        await ask(
            network.GenerateTask(
                network_service_pb2.GenerateTaskRequest(
                    account_id=question.account_id,
                    insight=question.insight,
                    identifiers=DECLARED,
                )
            )
        )
    suggest = network_service_pb2.SuggestMovesRequest(account_id=account, business_category="spa")
    suggest.facts.update({"customer": {"name": PROSE, "Zorabella Quintavalle": 1}})
    await ask(network.SuggestMoves(suggest))
    await ask(network.ListPatterns(network_service_pb2.ListPatternsRequest(page_token="Zorabella")))
    await ask(network.GetPattern(network_service_pb2.GetPatternRequest(pattern_id="Zorabella")))
    await ask(
        admin.RegisterAccount(
            admin_service_pb2.RegisterAccountRequest(
                account_id=f"{account} registered", business_category="moonquartz_retreat"
            )
        )
    )
    await ask(
        admin.ListAuditEvents(admin_service_pb2.ListAuditEventsRequest(page_token="Zorabella"))
    )
    await ask(
        admin.ForgetAccount(admin_service_pb2.ForgetAccountRequest(account_id=f"{account} 0 None"))
    )
    emerging = network.StreamEmergingPatterns(
        network_service_pb2.StreamEmergingPatternsRequest(resume_token="v1.Zorabella")
    )
    await ask(emerging.read())
    return "\n".join(said)


async def fill_everything(service: Service) -> str:
    """Every method once with canaries in every field that may hold text, and once for each field whose rules canaries
    break; everything that was answered, less what its caller gets back, as one text.
    """
    said: list[str] = []
    for method in methods():
        stub = (
            service.admin if method.containing_service.name == "AdminService" else service.network
        )
        for odd in (None, *text_fields(method.input_type)):
            request = filled(method, PROSE, "moonquartz_retreat", DECLARED, odd)
            given = iter([request]) if method.client_streaming else request
            call = getattr(stub, method.name)(given)
            try:
                answer = await (call.read() if method.server_streaming else call)
            except grpc.aio.AioRpcError as error:
                said.extend([error.details() or "", str(error.trailing_metadata())])
                continue
            finally:
                call.cancel()
            if answer is not grpc.aio.EOF:
                said.append(unreturned(answer))
    return "\n".join(said)


async def everything_stored(service: Service) -> str:
    """Every column of every row of every table, as one text."""
    tables = await service.database.fetch(
        "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1"
    )
    texts = []
    for (table,) in tables:
        rows = await service.database.fetch(f"SELECT t::text FROM {table} t")  # noqa: S608 - our tables
        texts += [row[0] for row in rows]
    return "\n".join(texts)


def found(text: str) -> list[str]:
    """The canaries that stand in a text, in any case."""
    lower = text.lower()
    return [canary for canary in CANARIES if canary in lower]


async def test_no_canary_survives_anywhere(
    leaky: tuple[Service, OpenAIStandIn], capfd: pytest.CaptureFixture[str]
) -> None:
    """Neither the database, nor logs, nor errors, nor the embedding API ever see one."""
    service, embeddings = leaky
    said = await call_everything(service) + await fill_everything(service)
    logged = "".join(capfd.readouterr())
    stored = await everything_stored(service)
    # A search that has nothing to search proves nothing.
    assert "CapturePattern" in logged
    assert "RESUME_TOKEN_INVALID" in said
    assert "days_since_visit" in stored or "withheld" in stored
    assert found(PROSE) != []
    assert found(said) == []
    assert found(logged) == []
    assert found(stored) == []
    assert found("\n".join(embeddings.texts)) == []
    # Nor as a word that accounts may approve: whoever has the key could look for its hash.
    assert KEYS.word_hash(UNKNOWN) in stored or embeddings.texts == []
    assert [word for word in WORDS if KEYS.word_hash(word) in stored] == []


@pytest.mark.parametrize("layer", LAYERS)
def test_a_layer_that_fails_drops_the_text_and_says_so(layer: str) -> None:
    """With any layer broken the text is gone, the structured part stays, and the reason is reported."""
    anonymizer = broken(layer)
    answer = anonymizer.anonymize(
        Insight("", "churn_prevention", "spa", {"days_since_visit": 40}, "Call the guest", "", 0.5),
        Identifiers(),
    )
    assert answer.insight.action == ""
    assert answer.insight.conditions == {"days_since_visit": "31-60"}
    assert any(drop.field == "action" for drop in answer.report.dropped)
