from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

import grpc
import pytest

from keeper_grpc.gen.keeper.network.v1 import insight_pb2
from keeper_grpc.gen.keeper.network.v1.admin_service_pb2 import ForgetAccountRequest
from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import GenerateTaskRequest, Task
from tests.rpc.feedback import TOWEL, ask, report, teach
from tests.rpc.refusal import refusal
from tests.rpc.requests import capture, insight, new_account
from tests.rpc.service import Service

SCRIPT = "Hi {name}, a warm towel is waiting for you"


async def task_of(service: Service, account: str, enhancement_id: str) -> Task:
    """The task of an enhancement."""
    request = GenerateTaskRequest(account_id=account, enhancement_id=enhancement_id)
    return (await service.network.GenerateTask(request)).task


async def test_an_enhancement_becomes_a_validated_task(service: Service, topic: str) -> None:
    """It says what to do, with which words, how likely that is to work, and how to report."""
    await teach(service, topic, ["+++", "++-", "+++"], script=SCRIPT)
    account = new_account()
    given = await ask(service, topic, account)
    before = datetime.now(UTC)
    task = await task_of(service, account, given.enhancement_id)
    assert task.title == TOWEL
    assert task.confidence_label == "Network Validated"
    assert task.success_probability == given.enhanced_insight.expected_success_rate
    assert task.script == SCRIPT
    assert task.script_note == "This script works 82% of the time"
    assert task.steps[0] == TOWEL
    assert "{name}" in task.steps[1]
    assert given.enhancement_id in task.steps[-1]
    due = task.due_time.ToDatetime(tzinfo=UTC)
    assert before + timedelta(days=3) <= due <= datetime.now(UTC) + timedelta(days=3)


async def test_the_note_leaves_the_asking_accounts_own_outcomes_out(
    service: Service, topic: str
) -> None:
    """An account that failed with the script is told how it worked for the others."""
    await teach(service, topic, ["++", "++", "++"], script=SCRIPT)
    account = new_account()
    given = await ask(service, topic, account)
    await service.network.ReportOutcome(report(account, given.enhancement_id, success=False))
    task = await task_of(service, account, given.enhancement_id)
    # (6 + 1) / (6 + 2) under a uniform prior.
    assert task.script_note == "This script works 88% of the time"
    stranger = new_account()
    theirs = await ask(service, topic, stranger)
    told = await task_of(service, stranger, theirs.enhancement_id)
    # (6 + 1) / (7 + 2).
    assert told.script_note == "This script works 78% of the time"


async def test_without_a_script_there_is_no_note(service: Service, topic: str) -> None:
    """Nothing is said about words where there are none."""
    await teach(service, topic, ["+", "+", "+"])
    account = new_account()
    given = await ask(service, topic, account)
    task = await task_of(service, account, given.enhancement_id)
    assert task.confidence_label == "Network Validated"
    assert (task.script, task.script_note) == ("", "")


async def test_an_enhancement_without_advice_becomes_a_plain_task(
    service: Service, topic: str
) -> None:
    """In the account's own words, as likely as its engine thought, and still to be reported on."""
    account = new_account()
    given = await ask(service, topic, account, "Call the guest back", confidence=0.4)
    task = await task_of(service, account, given.enhancement_id)
    assert task.title == "Call the guest back"
    assert (task.confidence_label, task.script, task.script_note) == ("", "", "")
    assert task.success_probability == 0.4
    assert given.enhancement_id in task.steps[-1]


async def test_advice_that_may_not_be_shown_any_more_becomes_a_plain_task(
    service: Service, topic: str
) -> None:
    """Two of three contributors were forgotten: the rest is too few to be told."""
    contributors = [new_account() for _ in range(3)]
    for contributor in contributors:
        await service.network.CapturePattern(capture(topic, account=contributor, script=SCRIPT))
    account = new_account()
    given = await ask(service, topic, account)
    for contributor in contributors[:2]:
        await service.admin.ForgetAccount(ForgetAccountRequest(account_id=contributor))
    task = await task_of(service, account, given.enhancement_id)
    assert task.confidence_label == ""
    assert task.script == ""
    assert task.success_probability == 0.5


async def test_an_insight_becomes_a_plain_task_in_anonymous_words(
    service: Service, topic: str
) -> None:
    """What it says is what the anonymizer lets through, and nothing is stored of it."""
    account = new_account()
    request = GenerateTaskRequest(
        account_id=account,
        insight=insight(
            topic,
            "Call Ottilie on 555-010-9999 about the massage",
            conditions={"churn_risk": "high"},
            script="Hello Ottilie, shall we hold {day} for you?",
            confidence=0.7,
        ),
        identifiers=insight_pb2.Identifiers(customer_names=["Ottilie"]),
    )
    task = (await service.network.GenerateTask(request)).task
    said = f"{task.title} {' '.join(task.steps)} {task.script}"
    assert "Ottilie" not in said
    assert "9999" not in said
    assert "massage" in task.title
    assert "{day}" in task.script
    assert task.success_probability == 0.7
    assert (task.confidence_label, task.script_note) == ("", "")
    stored = await service.value("SELECT count(*) FROM enhancements WHERE pattern_type = $1", topic)
    assert stored == 0


async def test_another_accounts_enhancement_does_not_exist(service: Service, topic: str) -> None:
    """Foreign, unknown and of an unknown account: the same answer."""
    owner, stranger = new_account(), new_account()
    given = await ask(service, topic, owner)
    await ask(service, topic, stranger)
    refusals = [
        await refusal(task_of(service, account, enhancement_id))
        for account, enhancement_id in (
            (stranger, given.enhancement_id),
            (stranger, str(uuid.uuid4())),
            (new_account(), given.enhancement_id),
        )
    ]
    assert refusals[0].code is grpc.StatusCode.NOT_FOUND
    assert refusals[0].reason == "ENHANCEMENT_NOT_FOUND"
    assert refusals[1:] == [refusals[0]] * 2


@pytest.mark.parametrize(
    "request_without",
    [
        GenerateTaskRequest(account_id="a"),
        GenerateTaskRequest(account_id="a", enhancement_id="seven"),
    ],
)
async def test_a_task_is_about_something(
    service: Service, request_without: GenerateTaskRequest
) -> None:
    """A request names an enhancement by its UUID, or brings an insight."""
    refused = await refusal(service.network.GenerateTask(request_without))
    assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
    assert refused.reason == "INVALID_REQUEST"
