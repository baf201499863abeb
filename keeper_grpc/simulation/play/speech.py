"""How an account words its actions, and which action the network's words mean."""

from __future__ import annotations

from collections import Counter
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
"""An account's own invented words: the names of an employee and two customers, two words each. No two
accounts share a word, because a word that k accounts use is approved in time and no longer masked."""


def question(insight: Met) -> Insight:
    """The insight as an engine asks about it: without an action."""
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
    """The insight with the account's action in its own words, and the identifiers that it declares."""
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
    """The script in one tone. The placeholder {name} stays."""
    line = _filled(action.means.line, action, category)
    return Template(TONES[tone]).substitute(line=line)


def tone_of(text: str) -> str | None:
    """The tone of a script, also after anonymization; None if it is not one of the simulation's."""
    return next((tone for tone, marker in MARKERS.items() if marker in text), None)


def named_by(text: str, kind: int) -> Action:
    """The action whose wordings share most words with a text, which may be masked or cut in places."""
    said = Counter(text.lower().split())

    def likeness(words: Counter[str]) -> float:
        return 2 * (said & words).total() / (said.total() + words.total())

    return max(_worded(kind), key=lambda worded: likeness(worded[0]))[1]


@cache
def _worded(kind: int) -> Sequence[tuple[Counter[str], Action]]:
    """The words of every wording in every category's words, with their actions."""
    return [
        (Counter(_filled(said, action, category).lower().split()), action)
        for action in actions_for(kind)
        for said in action.means.wordings
        for category in NOUNS
    ]


def done_by(text: str, meant: Action) -> Action:
    """The action of an account that uses this script: `meant`, unless the script names another of its kind."""
    said = [action for line, action in _lines(meant.kind) if line in text]
    return said[0] if said and meant not in said else meant


@cache
def _lines(kind: int) -> Sequence[tuple[str, Action]]:
    """Script lines in every category's words, with their actions; one line may stand for every level."""
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
