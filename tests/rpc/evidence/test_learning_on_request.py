import pytest

from keeper_grpc.domain.errors import StorageUnavailable
from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import GetPatternRequest
from keeper_grpc.gen.keeper.network.v1.pattern_pb2 import Prior
from tests.integration.openai_stand_in import OpenAIStandIn
from tests.rpc.requests import capture, new_topic
from tests.rpc.service import Service, openai, running


async def test_priors_are_learned_when_the_application_is_told_to(service: Service) -> None:
    """A simulation's days pass in seconds: what the background learns every minute, it can ask for each day."""
    topic = new_topic()
    stored = [
        await service.capture(capture(topic, action))
        for action in ("Offer a warm towel", "Call the guest by phone")
        for _ in range(6)
    ]
    request = GetPatternRequest(pattern_id=stored[0].pattern_id)
    before = (await service.network.GetPattern(request)).pattern.prior

    await service.app.learn()

    after = (await service.network.GetPattern(request)).pattern.prior
    assert before.source in {Prior.SOURCE_DEFAULT, Prior.SOURCE_NETWORK}
    assert after.source == Prior.SOURCE_CATEGORY
    assert after.pattern_count > 0


async def test_a_server_starts_though_priors_cannot_be_learned_yet(
    database_url: str, embeddings: OpenAIStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A large, cold database may not answer that one question in time; it has served with the priors that it has."""

    async def too_slow(*_: object) -> None:
        raise StorageUnavailable("the database cannot answer now")

    monkeypatch.setattr("keeper_grpc.storage.evidence.priors.PostgresPriors.judged", too_slow)
    async with running(database_url, **openai(embeddings.base_url)) as service:
        assert (await service.capture(capture(new_topic()))).pattern_id
