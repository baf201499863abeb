from __future__ import annotations

from keeper_grpc.catalog.load import load_catalog
from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import (
    GetPatternRequest,
    ListPatternsRequest,
    SuggestMovesRequest,
)
from tests.integration.openai_stand_in import OpenAIStandIn, Status
from tests.rpc.requests import new_account
from tests.rpc.service import openai, running

AUTHORED = sum(len(pattern.business_categories) for pattern in load_catalog().patterns)
"""The catalog's patterns, each in each of its lines of business."""


async def test_a_server_that_cannot_seed_serves_and_seeds_at_its_next_start(
    database_url: str, embeddings: OpenAIStandIn
) -> None:
    """An embedder that fails at that moment costs the catalog, not the service."""
    chosen = openai(embeddings.base_url)
    # The vector that readiness asks for is cached from here on.
    async with running(database_url, **chosen) as service:
        assert not (await service.network.ListPatterns(ListPatternsRequest())).patterns

    embeddings.then(Status(500))
    async with running(database_url, **chosen, seed_catalog=True) as service:
        assert not (await service.network.ListPatterns(ListPatternsRequest())).patterns

    async with running(database_url, **chosen, seed_catalog=True) as service:
        listing = await service.network.ListPatterns(ListPatternsRequest(page_size=500))
        assert len(listing.patterns) == AUTHORED


async def test_a_pattern_carries_its_claim_wherever_it_is_shown(
    database_url: str, embeddings: OpenAIStandIn
) -> None:
    """ListPatterns, GetPattern with and without history, and SuggestMoves give the same claim."""
    async with running(database_url, **openai(embeddings.base_url), seed_catalog=True) as service:
        listing = await service.network.ListPatterns(
            ListPatternsRequest(pattern_type="review_response", business_category="spa")
        )
        known = next(
            one for one in load_catalog().patterns if one.key == "negative_review_recovery"
        )
        (listed,) = (one for one in listing.patterns if one.action == known.action)
        claim = listed.author_claim
        assert (claim.success_rate, claim.rating_improvement) == (0.61, 2.3)
        assert claim.follow_up_action == "Offer the reviewer a complimentary service"
        assert claim.reason
        assert list(claim.guardrails) == list(known.guardrails)
        assert listed.evidence.occurrence_count == 0

        for include_history in (False, True):
            request = GetPatternRequest(
                pattern_id=listed.pattern_id, include_history=include_history
            )
            found = await service.network.GetPattern(request)
            assert found.pattern.author_claim == claim
            assert found.authored_trigger == (known.trigger if include_history else "")

        asked = SuggestMovesRequest(account_id=new_account(), business_category="spa")
        asked.facts.update({"review": {"rating": 1}})
        (move,) = (await service.network.SuggestMoves(asked)).moves
        assert move.pattern.author_claim == claim
