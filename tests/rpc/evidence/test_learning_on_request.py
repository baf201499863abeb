from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import GetPatternRequest
from keeper_grpc.gen.keeper.network.v1.pattern_pb2 import Prior
from tests.rpc.requests import capture, new_topic
from tests.rpc.service import Service


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
