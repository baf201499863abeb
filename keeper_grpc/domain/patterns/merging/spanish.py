"""Reads a Spanish action in English, word by word, so that the rules of merging have one language to know.

"Llamar a la clienta" reads as "call to the client". That is no translation for people: what is compared is which
channel, role, amount, time and direction an action names, and these survive it. A word reads as the English one that says
most often what it says (data/NOTICE, tools/build_spanish.py); what the trade means by it, function words and numbers are
below. Where a word is not known it stays, and two that differ keep actions apart.

Which language an action is in, its words decide: it is Spanish if more of them are Spanish only than English only.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from typing import Final

from keeper_grpc.domain.patterns.merging.lexicon import DATA, lexicon
from keeper_grpc.domain.patterns.merging.trade_words import EMPTY

_WORD: Final = re.compile(r"[^\W\d_]+")
_TOKEN: Final = re.compile(r"\[[^\[\]]*\]|\{[^{}]*\}|[^\W\d_]+")
"""What stands in brackets or braces is a mask or a placeholder, and no word."""


def _table(text: str) -> Mapping[str, str]:
    """`word: gloss; ...`, where several words may share a gloss."""
    pairs = (entry.split(":") for entry in text.split(";"))
    return {word: gloss.strip() for words, gloss in pairs for word in words.split()}


_CUSTOMER: Final = r"(?:client[ea]s?|soci[oa]s?|miembros?|alumn[oa]s?|hu[eé]sped(?:es)?)"

_PHRASES: Final = tuple(
    (re.compile(rf"\b(?:{pattern})\b"), english)
    for pattern, english in (
        # Elsewhere "un" is the article, after which a thing comes.
        (r"una? (?=(?:minuto|hora|d[ií]a|semana|mes|año|sesi[oó]n|clase|visita)\b)", "one "),
        (r"entre semana|d[ií]as? (?:laborables?|h[aá]bil(?:es)?)", "weekdays"),
        (r"fin(?:es)? de semana", "weekend"),
        (r"mensajes? de texto", "text"),
        (r"correos? electr[oó]nicos?", "email"),
        (r"en (?:vez|lugar) de", "instead of"),
        (r"de(?:jar?|je|jen|jando) de", "stop"),
        (r"por (?:la )?tardes?|en la tarde|de la tarde", "in the afternoon"),
        (r"m[aá]s tarde", "later"),
        (r"m[aá]s temprano|con antelaci[oó]n", "earlier"),
        (r"por adelantado", "in advance"),
        (r"m[aá]s r[aá]pid[oa]s?", "faster"),
        (r"m[aá]s lent[oa]s?", "slower"),
        (r"m[aá]s larg[oa]s?", "longer"),
        (r"m[aá]s cort[oa]s?", "shorter"),
        (r"(?:al|por lo) menos|como m[ií]nimo", "at least"),
        (r"como m[aá]ximo|a lo (?:sumo|m[aá]s)", "at most"),
        (r"horas? (?:pico|punta)", "peak"),
        (r"horas? (?:valle|bajas?)", "off-peak"),
        (r"tel[eé]fonos? fijos?", "landline"),
        (r"correo postal", "letter"),
        (rf"{_CUSTOMER} (?:nuev[oa]s?|primeriz[oa]s?)|nuev[oa]s? {_CUSTOMER}", "new clients"),
        (
            rf"{_CUSTOMER} (?:antigu[oa]s?|habitual(?:es)?|actual(?:es)?|fiel(?:es)?|de siempre)",
            "existing clients",
        ),
        (r"por ciento", "%"),
        (r"(?:a )?mitad de precio", "half price"),
        (r"listas? de espera", "waitlist"),
        (r"sin (?:costo|coste|cargo)|de regalo", "free"),
        (r"ped(?:ir|irle|irles) (?:disculpas|perd[oó]n)", "apologize"),
        (r"(?:el )?mismo d[ií]a", "same day"),
    )
)
"""Several words that mean something whole."""

_FUNCTION_WORDS: Final = _table(
    "el la los las lo: the; un una: a; unos unas: some; al a: to; del de: of; en: in; por: by; para: for; con: with;"
    "sin: without; y e: and; o u: or; que: that; su sus: her; no tampoco ni: not; nunca jamás: never;"
    "ningún ninguno ninguna: no; nada: nothing; antes: before;"
    "después tras: after; más: more; menos: less; cuando: when; si: if; se le les me te nos os: her; cada: each;"
    "este esta estos estas ese esa esos esas: this; todo toda todos todas: all; mismo misma mismos mismas: same;"
    "otro otra otros otras: another; muy: very; ya: already; también: also; como cómo: how; qué: what;"
    "quién quien: who; es está son están hay ha han ser estar haber: is; sobre: about; desde: from; hasta: until;"
    "entre: between; durante: during; mediante: by; junto juntos: together; donde dónde: where; sólo solo: only;"
    "hacer hace haga: do; primer primero primera primeros primeras: first; segundo segunda: second;"
    "tercer tercero tercera: third; último última: last; próximo próxima: next; pero: but; porque: because"
)
_NUMBERS: Final = _table(
    "uno: one; dos: two; tres: three; cuatro: four; cinco: five; seis: six; siete: seven; ocho: eight; nueve: nine;"
    "diez: ten; once: eleven; doce: twelve; trece: thirteen; catorce: fourteen; quince: fifteen; dieciséis: sixteen;"
    "diecisiete: seventeen; dieciocho: eighteen; diecinueve: nineteen; veinte: twenty; treinta: thirty;"
    "cincuenta: fifty; doble: double; triple: triple"
)
_TRADE: Final = _table(
    "cita: appointment; reserva reservación: booking; reservar: book; socio: member; huésped: guest; corte: cut;"
    "cobrar: charge; recordar: remind; hora: hour; noche: night; mañana: morning; entrenador: trainer;"
    "encargado encargada: manager; salón: salon; bata: robe; crema: cream; tinte: tint; enlace: link; pase: pass;"
    "mejora: upgrade; mejorar: upgrade; inscribirse: join; bajar: lower; subir: raise; aumentar: increase;"
    "agendar: book; membresía: membership; depósito: deposit; disculparse: apologize; estante: shelf; horario: hours;"
    "gratis gratuito gratuita: free; celular móvil: mobile; llamada: call; correo: email; aplicación: app;"
    "anterior previo previa: before; posterior siguiente: after; público pública: public; privado privada: private;"
    "obligatorio obligatoria: mandatory; opcional voluntario voluntaria: optional; mantener: keep; contratar: hire;"
    "endurecer: tighten; flexibilizar relajar: loosen; alargar: lengthen; prolongar ampliar: extend; pausar: pause;"
    "reactivar reanudar: resume; evitar: avoid; omitir saltarse: skip; anular: cancel; rebajar abaratar: lower;"
    "desactivar: deactivate; renunciar: waive; encarecer: raise; política: policy; retirar: remove; borrar: delete;"
    "recepción: reception; mensaje: message; prueba: trial; tarjeta: card; oferta: offer; camiseta: shirt;"
    "clase: class; sesión: session; pie: foot; nuevo nueva: new; congelar: freeze; volver: return; venta: sale;"
    "temprano: early; tarde: late; devolver: refund; sms: sms; whatsapp: whatsapp"
)
"""What the trade means by words that mean something else to most, or that the wordnet does not have."""

_KNOWN: Final = {**_FUNCTION_WORDS, **_NUMBERS, **_TRADE}

_ENDINGS: Final = (
    ("ciones", ("ción",)),
    ("siones", ("sión",)),
    ("ces", ("z",)),
    ("es", ("", "e", "ar", "er", "ir")),
    ("as", ("a", "o", "", "ar", "er", "ir")),
    ("os", ("o",)),
    ("s", ("",)),
    ("ando", ("ar",)),
    ("iendo", ("er", "ir")),
    ("ada", ("ar", "ado")),
    ("ado", ("ar",)),
    ("ida", ("ir", "er", "ido")),
    ("ido", ("ir", "er")),
    ("que", ("car",)),
    ("gue", ("gar",)),
    ("ce", ("zar",)),
    ("an", ("ar", "er", "ir")),
    ("en", ("er", "ir", "ar")),
    ("amos", ("ar",)),
    ("emos", ("er", "ar")),
    ("imos", ("ir",)),
    ("a", ("ar", "er", "ir", "o", "")),
    ("e", ("er", "ir", "ar")),
    ("o", ("ar", "er", "ir")),
)
"""Endings of regular forms, and what the words that are looked up may have in their place."""
_INFINITIVE: Final = ("ar", "er", "ir")
_CLITICS: Final = re.compile(r"(?<=[aeiáéí]r)(?:se)?(?:me|te|le|les|lo|la|los|las|nos|se)$")
_PRONOUNS_OF_AN_ORDER: Final = re.compile(
    r"(?:(?<=[áéí][^\Waeiouáéíóú][ae])|(?<=[áéí][^\Waeiouáéíóú]{2}[ae]))(?:les?|l[ao]s?|me|nos|se)$"
)
"""The accent shows that an order carries some: "llámala"."""
_BEFORE_A_VERB: Final = frozenset({"", "no", "nunca", "que"})
_UNACCENTED: Final = str.maketrans("áéíóú", "aeiou")


def in_english(action: str) -> str:
    """The action in lower case, word by word in English if it is Spanish; else as it came.

    An action that is English already comes back unchanged, and so does one of which no word is known.
    """
    text = action.lower()
    return _glossed(text) if _is_spanish(text) else action


def _is_spanish(text: str) -> bool:
    spanish = english = 0
    for token in _TOKEN.findall(text):
        if token[0] in "[{":
            continue
        is_english = token in EMPTY or any(base in lexicon() for base in lexicon().bases(token))
        is_spanish = gloss(token) is not None
        spanish += is_spanish and not is_english
        english += is_english and not is_spanish
    return spanish > english


def _glossed(text: str) -> str:
    for pattern, english in _PHRASES:
        text = pattern.sub(english, text)
    before = ""

    def read(match: re.Match[str]) -> str:
        nonlocal before
        token, begins = match[0], before in _BEFORE_A_VERB
        before = token
        if token[0] in "[{" or token in _ENGLISH_OF_PHRASES:
            return token
        return gloss(token, begins=begins) or token

    return _TOKEN.sub(read, text)


def gloss(word: str, *, begins: bool = False) -> str | None:
    """The English word for a Spanish one in any form, or None where it is not known.

    What `begins` a sentence is a verb where it may be one: "llama" is no flame there.
    """
    known = _glosses()
    done = None
    for base in _bases(word, begins=begins):
        found = _KNOWN.get(base) or known.get(base)
        if found is None or (done is not None and base.endswith(_INFINITIVE)):
            continue
        if not found.startswith("="):
            return found
        done = done or _KNOWN.get(found[1:]) or known[found[1:]]
        if begins:
            break
    # A thing goes before what is done: "muestras" are samples, unless they begin.
    return done


def _bases(word: str, *, begins: bool) -> Iterator[str]:
    """What a word may be a form of. What is done may carry pronouns: "ofrecerle", "escríbele"."""
    ordered = _PRONOUNS_OF_AN_ORDER.sub("", word)
    if ordered != word:
        begins = True
        word = ordered.translate(_UNACCENTED)
    regular = [
        word.removesuffix(ending) + instead
        for ending, others in _ENDINGS
        if word.endswith(ending) and len(word) > len(ending) + 1
        for instead in others
    ]
    if begins and not word.endswith(("r", "se")):
        yield from (base for base in regular if base.endswith(_INFINITIVE))
    yield word
    bare = _CLITICS.sub("", word)
    if bare != word:
        yield bare.translate(_UNACCENTED)
    yield from regular


@functools.cache
def _glosses() -> Mapping[str, str]:
    """The words of data/spanish.txt: glosses, and for an irregular form `=` and its word."""
    lines = (DATA / "spanish.txt").read_text("utf-8").splitlines()
    return dict(line.split(" ", 1) for line in lines)


_ENGLISH_OF_PHRASES: Final = frozenset(_WORD.findall(" ".join(english for _, english in _PHRASES)))
"""Already English: "later" must not be read again."""
