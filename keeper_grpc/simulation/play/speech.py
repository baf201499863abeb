"""How an account words what it does, and what the network's words mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from string import Template

from google.protobuf.struct_pb2 import Struct

from keeper_grpc.gen.keeper.network.v1.insight_pb2 import Identifiers, Insight
from keeper_grpc.simulation.parameters import Parameters, stream
from keeper_grpc.simulation.world.population import Account, Met
from keeper_grpc.simulation.world.truth import Action, actions_for
from keeper_grpc.simulation.world.wordings import KINDS, MARKERS, NOUNS, TONES

_SYLLABLES = (
    "ta", "vo", "mi", "re", "qui", "zo", "ba", "hu", "fe", "dru", "ki", "lo", "na", "os", "pe", "we",
)  # fmt: skip
_LENGTH = 4
_WORDS = 6
"""An account's own invented words: an employee's and two customers' names, of two words each. No two
accounts share one, since a word that k accounts use would in time be masked no longer."""


def question(insight: Met) -> Insight:
    """The insight as an engine asks about it: without an idea of what to do."""
    kind = KINDS[insight.situation.kind]
    conditions = Struct()
    conditions.update({**kind.situations[insight.situation.facts], **insight.details})
    return Insight(
        type=kind.type,
        business_category=insight.account.category,
        conditions=conditions,
        confidence=insight.confidence,
        dollar_value=kind.value,
        potential_value=kind.value,
    )


def statement(
    parameters: Parameters, insight: Met, action: Action, tone: str
) -> tuple[Insight, Identifiers]:
    """The insight with what the account did, in its words, and what it declares as identifying."""
    rng = stream(parameters, f"words {insight.account.number} {insight.number}")
    said = question(insight)
    said.action = wording(action, insight.account.category, rng.randrange(4))
    said.script = script(action, insight.account.category, tone)
    identifiers = Identifiers()
    if rng.random() < parameters.personal:
        customer, employee = names(insight.account, rng.randrange(2))
        said.action += f", beginning with {customer}"
        said.script = said.script.replace("{name}", customer.split()[0]) + f" {employee}"
        if rng.random() < parameters.declared:
            identifiers.customer_names.append(customer)
            identifiers.employee_names.append(employee)
    return said, identifiers


def wording(action: Action, category: str, which: int) -> str:
    """One way to put an action."""
    wordings = action.means.wordings
    return _filled(wordings[which % len(wordings)], action, category)


def script(action: Action, category: str, tone: str) -> str:
    """What the customer is told, in one tone. The {name} is left to be filled in."""
    line = _filled(action.means.line, action, category)
    return Template(TONES[tone]).substitute(line=line)


def tone_of(text: str) -> str | None:
    """The tone of a script, also of an anonymized one; None for none of ours."""
    return next((tone for tone, marker in MARKERS.items() if marker in text), None)


def done_by(text: str, meant: Action) -> Action:
    """What whoever uses this script does: what is `meant`, unless it says something else of that kind."""
    said = [action for line, action in _lines(meant.kind) if line in text]
    return said[0] if said and meant not in said else meant


@cache
def _lines(kind: int) -> Sequence[tuple[str, Action]]:
    """What scripts say in any category's words, and what it means; one line may stand for every level."""
    lines = {
        (_filled(action.means.line, action, category), action)
        for action in actions_for(kind)
        for category in NOUNS
    }
    return sorted(lines)


def names(account: Account, customer: int) -> tuple[str, str]:
    """Full names of one of the account's two customers and of its employee: invented."""
    words = [_word(account.number * _WORDS + index) for index in range(_WORDS)]
    first = 2 + 2 * customer
    return " ".join(words[first : first + 2]), " ".join(words[:2])


def _word(number: int) -> str:
    """The invented word with this number; different numbers, different words."""
    syllables = []
    for _ in range(_LENGTH):
        number, index = divmod(number, len(_SYLLABLES))
        syllables.append(_SYLLABLES[index])
    return "".join(syllables).capitalize()


def _filled(text: str, action: Action, category: str) -> str:
    slots: Mapping[str, str] = NOUNS[category]
    return Template(text).substitute(slots, n=action.level)
