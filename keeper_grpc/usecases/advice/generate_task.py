"""GenerateTask: an enhancement, or a plain insight, as a task for people. Stores nothing of it."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from keeper_grpc.domain.advice.tasks import Task, task_of_advice, task_of_insight
from keeper_grpc.domain.evidence.publication import PublicationRule
from keeper_grpc.domain.insight import Identifiers, Insight
from keeper_grpc.usecases.accounts.resolver import AccountResolver
from keeper_grpc.usecases.advice.find_enhancement import HandedOutStore, find_handed_out
from keeper_grpc.usecases.ports import Anonymizes, Clock


@dataclass(frozen=True, slots=True)
class Order:
    """What the task is to be about: an enhancement of the account by id, or an insight."""

    account_id: str
    source: UUID | Insight
    identifiers: Identifiers


class GenerateTask:
    """The use case. One instance serves all calls."""

    def __init__(
        self,
        *,
        accounts: AccountResolver,
        anonymizer: Anonymizes,
        store: HandedOutStore,
        rule: PublicationRule,
        clock: Clock,
    ) -> None:
        self._accounts = accounts
        self._anonymizer = anonymizer
        self._store = store
        self._rule = rule
        self._clock = clock

    async def __call__(self, order: Order) -> Task:
        """The task.

        Raises EnhancementNotFound, AccountCategoryUnknown, AccountCategoryConflict,
        AccountBeingForgotten and StorageUnavailable.
        """
        if isinstance(order.source, UUID):
            _, given = await find_handed_out(
                self._accounts, self._store, order.account_id, order.source
            )
            return task_of_advice(given, self._rule, self._clock())
        insight = self._anonymizer.anonymize(order.source, order.identifiers).insight
        await self._accounts.resolve(order.account_id, insight.business_category)
        return task_of_insight(insight, self._clock())
