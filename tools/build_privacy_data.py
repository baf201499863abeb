"""Builds keeper_grpc/privacy/data/ from public word and name lists. Run by hand, rarely.

    apt-get install scowl
    pip download --no-deps names==0.3.0 Faker==40.54.0      # unpack both into SOURCES
    python tools/build_privacy_data.py SOURCES

SOURCES holds `names-0.3.0/` and `faker/` as unpacked. What comes from where, and under which terms,
is in the NOTICE beside the result. The hand-written lists (trade, given, plain words and mostly_names)
are inputs: after a change of either, run this again.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from keeper_grpc.privacy.text.tokens import fold, keys  # noqa: E402  # needs the path above
from keeper_grpc.privacy.text.word_lists import listed, read_words  # noqa: E402  # as above

DATA = ROOT / "keeper_grpc/privacy/data"
SCOWL = Path("/usr/share/dict/scowl")

COMMON_LEVEL = 20
"""SCOWL sizes up to this are everyday English: a word of it stays a word although it is a surname
somewhere (Young, King, Price); where it stands as one, the context layer masks it."""

RARE_LEVEL = 40
"""From this SCOWL size on, a word that is anybody's name is not worth the risk."""

LARGEST_LEVEL = 50
"""`makeover`, `sachet` and `facelift` are of size 50. Sizes 55 and up add words that prose of this
trade hardly has. From RARE_LEVEL on no word is taken that is on any list of names."""

FREQUENT_SURNAME = 5_000
"""A surname of at most this census rank (1 in 50,000 people) outweighs a word of sizes 35 to 40."""

TOP_SURNAME = 1_500
"""A word that is a surname of this census rank (1 in 12,000 people) is looked at in small letters."""

NAMES_FIRST = frozenset({"trump", "pope", "obama", "bush", "burns", "baker", "pierce"})
"""Everyday words (by SCOWL) that prose of this trade has as names, if at all."""

IRREGULAR_VERBS = frozenset(
    listed(
        "be have do go get make take give come see know think say tell feel find keep leave lose pay "
        "read run send sell sing sit sleep speak spend stand swim teach wear win write bring buy build "
        "choose cut drink drive eat fall fly forget hang hold hurt let meet put ring rise set shut shoot "
        "begin break catch draw fight hear hit lead lend mean ride shake steal strike throw wake "
        "rebook prebook reschedule upsell email dm"
    )
)
"""Base forms whose endings are irregular, and the trade's own verbs, which SCOWL has not."""

KEPT_SURNAMES = 30_000
"""Census surnames kept as context for their neighbours. Rarer ones are unknown words, which the
vocabulary threshold masks anyway."""


def main() -> None:
    """Reads the sources and the hand-written lists, writes the generated lists and their sums."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sources", type=Path)
    sources: Path = parser.parse_args().sources

    given_words = read_words(DATA / "given_words.txt")
    trade = read_words(DATA / "trade_words.txt")
    plain = read_words(DATA / "plain_words.txt")
    english = levels()
    given, surnames = census(sources)
    faker_given, faker_surnames = faker(sources)
    all_given = set(given) | faker_given
    all_surnames = set(surnames) | faker_surnames

    vocabulary = set(trade) | set(given_words)
    for word, level in english.items():
        if word in trade or word in given_words:
            continue
        if word in plain:
            vocabulary.add(word)
            continue
        if word in NAMES_FIRST or word in given or (word in faker_given and level > COMMON_LEVEL):
            continue
        frequent = surnames.get(word, FREQUENT_SURNAME + 1) <= FREQUENT_SURNAME
        if word in all_surnames and (level >= RARE_LEVEL or (level > COMMON_LEVEL and frequent)):
            continue
        vocabulary.add(word)

    ambiguous = {
        word
        for word in vocabulary & (all_given | all_surnames)
        if len(word) > 1 and word not in given_words
    }
    kept = {name for name, rank in surnames.items() if rank <= KEPT_SURNAMES} | faker_surnames
    write("vocabulary.txt", vocabulary)
    forms, bases = verbs(set(english))
    write("verb_forms.txt", forms & vocabulary)
    write("base_verbs.txt", bases & vocabulary)
    write("surname_words.txt", ambiguous)
    write(
        "frequent_surnames.txt",
        {w for w in ambiguous - trade if surnames.get(w, TOP_SURNAME + 1) <= TOP_SURNAME},
    )
    write("given_names.txt", all_given - vocabulary)
    write("surnames.txt", kept - vocabulary - all_given)
    names = sorted(path.name for path in DATA.glob("*.txt"))
    (DATA / "SHA256SUMS").write_text(
        "".join(f"{hashlib.sha256((DATA / n).read_bytes()).hexdigest()}  {n}\n" for n in names)
    )


def write(name: str, words: set[str]) -> None:
    """Writes a list, one word a line, sorted, and tells how long it is."""
    (DATA / name).write_text("".join(f"{word}\n" for word in sorted(words)))
    print(f"{name}: {len(words)}")  # a script tells what it did


def verbs(english: set[str]) -> tuple[set[str], set[str]]:
    """`books` and `booked`, and `book`, of every regular verb: of each word with all verb endings."""
    found: set[str] = set()
    bases = set(IRREGULAR_VERBS)
    for base in english:
        stem = base[:-1] if base.endswith(("e", "y")) else base
        doubled = base + base[-1]
        past = {stem + "ed", stem + "ied", doubled + "ed"} & english
        progressive = {stem + "ing", base + "ing", doubled + "ing"} & english
        present = {base + "s", base + "es", stem + "ies"} & english
        if past and progressive and present:
            found |= past | present
            bases.add(base)
    return found, bases


def levels() -> dict[str, int]:
    """Every lower-case word of SCOWL up to LARGEST_LEVEL, with the smallest size that has it."""
    found: dict[str, int] = {}
    for size in (10, 20, 35, 40, 50):
        for kind in ("english-words", "american-words", "british-words"):
            path = SCOWL / f"{kind}.{size}"
            if not path.exists():
                continue
            for line in path.read_text("latin-1").split():
                if line.isascii() and line.islower() and "'" not in line and len(line) > 1:
                    found.setdefault(line, size)
    assert max(found.values()) == LARGEST_LEVEL  # noqa: S101  # the list above and the constant agree
    return found


def census(sources: Path) -> tuple[dict[str, int], dict[str, int]]:
    """US census 1990: given names and surnames with their ranks."""

    def ranks(name: str) -> dict[str, int]:
        rows = (line.split() for line in (folder / name).read_text().splitlines())
        return {row[0].lower(): int(row[3]) for row in rows}

    folder = sources / "names-0.3.0/names"
    return ranks("dist.female.first") | ranks("dist.male.first"), ranks("dist.all.last")


def faker(sources: Path) -> tuple[set[str], set[str]]:
    """Given names and surnames of every locale of Faker, folded; those that fold to ASCII."""
    given: set[str] = set()
    surnames: set[str] = set()
    for path in sorted((sources / "faker/providers/person").glob("*/__init__.py")):
        for target, text in literals(path):
            chosen = given if "first" in target else surnames
            chosen.update(
                key for key in keys(text) if len(key) > 1 and key.isascii() and fold(key) == key
            )
    return given, surnames


def literals(path: Path) -> Iterator[tuple[str, str]]:
    """(variable, string) for every string inside a provider's first_name and last_name tables."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            if isinstance(target, ast.Name) and re.search(r"first_name|last_name", target.id):
                for child in ast.walk(node.value):
                    if isinstance(child, ast.Constant) and isinstance(child.value, str):
                        yield target.id, child.value


if __name__ == "__main__":
    main()
