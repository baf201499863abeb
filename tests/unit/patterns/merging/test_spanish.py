from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keeper_grpc.domain.patterns.merging.action import says_enough
from keeper_grpc.domain.patterns.merging.agreement import Agreement, agreement
from keeper_grpc.domain.patterns.merging.lexicon import DATA
from keeper_grpc.domain.patterns.merging.spanish import in_english

PAIRS = Path(__file__).parents[4] / "bench" / "merge_pairs.jsonl"

WORDS = sorted(
    line.split()[0] for line in (DATA / "spanish.txt").read_text("utf-8").splitlines()[::50]
)
actions = st.lists(st.sampled_from([*WORDS, "la", "de", "con", "20%", "dos días"]), min_size=1).map(
    " ".join
)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param("Subir los precios", "Bajar los precios", id="direction"),
        pytest.param("Cobrar un depósito", "Nunca cobrar un depósito", id="negation"),
        pytest.param("Insistir en la venta", "Dejar de insistir en la venta", id="refrain"),
        pytest.param("Llamar a la clienta", "Mandarle un mensaje a la clienta", id="channel"),
        pytest.param("Recordar la cita por SMS", "Recordar la cita por correo", id="channel named"),
        pytest.param("Ofrecer 10% de descuento", "Ofrecer 30% de descuento", id="share"),
        pytest.param("Pedir 10 dólares", "Pedir 40 dólares", id="amount"),
        pytest.param("Llamar a los 30 días", "Llamar a los 90 días", id="span"),
        pytest.param("Regalar una semana", "Regalar un mes", id="unit"),
        pytest.param("Llamar dos días antes", "Llamar dos días después", id="order"),
        pytest.param("Que llame la gerente", "Que llame la terapeuta", id="role"),
        pytest.param("Ofrecer citas entre semana", "Ofrecer citas el fin de semana", id="weekend"),
        pytest.param("Mandar la oferta los lunes", "Mandar la oferta los viernes", id="weekday"),
        pytest.param(
            "Mostrar el champú en la recepción",
            "Mostrar el acondicionador en la recepción",
            id="product",
        ),
        pytest.param("Ofrecer el té con azúcar", "Ofrecer el té sin azúcar", id="without"),
        pytest.param("Premiar a los socios nuevos", "Premiar a los socios de siempre", id="whom"),
        pytest.param("Llama a la clienta", "No llames a la clienta", id="order to someone"),
        pytest.param("Raise the prices", "Bajar los precios", id="across languages"),
        pytest.param("Call the client", "Escríbele un correo al cliente", id="channel across"),
    ],
)
def test_spanish_actions_that_differ_are_kept_apart(one: str, other: str) -> None:
    """Whatever any model finds: the rules are those of English, also between the two."""
    assert agreement(one, other) is Agreement.APART
    assert agreement(other, one) is Agreement.APART


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Mandar un mensaje con 20% de descuento", "Enviarle un mensaje con un descuento del 20%"),
        ("Llamar al cliente para darle una cita", "Telefonear al cliente y ofrecerle una cita"),
        (
            "Enviar un recordatorio 24 horas antes de la cita",
            "Mandar el recordatorio de la cita un día antes",
        ),
        ("Llámala para confirmar la cita", "Llamar a la clienta para confirmar la cita"),
        ("Call the guest and offer an appointment", "Llamar a la clienta y ofrecerle una cita"),
    ],
)
def test_spanish_rewordings_share_their_words(one: str, other: str) -> None:
    """Forms of a word, pronouns that hang on it, synonyms and English are no difference."""
    assert agreement(one, other) is Agreement.SHARED


def test_english_is_read_as_it_stands() -> None:
    """None of the English pairs of the benchmark holds a word that would make it Spanish."""
    rows = [json.loads(line) for line in PAIRS.read_text("utf-8").splitlines()]
    english = [
        row[side]["action"]
        for row in rows
        if not row["set"].startswith("spanish") and row["kind"] != "spanish"
        for side in ("a", "b")
    ]
    assert len(english) > 600
    assert [action for action in english if in_english(action) != action] == []


@pytest.mark.parametrize("action", ["[person] gratis", "[person] facial", "[person_2] spa [other]"])
def test_what_is_left_of_an_unknown_language_says_too_little(action: str) -> None:
    """One free session and three leave the same words, and are not one action."""
    assert not says_enough(action)


@settings(max_examples=50)
@given(actions)
def test_an_action_is_never_apart_from_itself(action: str) -> None:
    """However little its reading makes sense."""
    assert agreement(action, action) is not Agreement.APART


@settings(max_examples=50)
@given(actions, actions)
def test_agreement_is_symmetric(one: str, other: str) -> None:
    """Which of two was captured first decides nothing."""
    assert agreement(one, other) is agreement(other, one)


@pytest.mark.parametrize("word", ["de la ", "llámala", "más ", "socio ", "ciones"])
def test_a_hostile_text_is_read_in_linear_time(word: str) -> None:
    """Reading four times the text takes about four times as long, not sixteen."""

    def seconds(size: int) -> float:
        text = (word * size)[:size]
        runs = []
        for _ in range(5):
            start = time.process_time()
            in_english(text)
            runs.append(time.process_time() - start)
        return min(runs)

    assert seconds(16_000) < 10 * seconds(4_000) + 0.005
