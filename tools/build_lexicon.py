"""Builds keeper_grpc/domain/patterns/merging/data/lexicon.txt from WordNet. Run by hand, rarely.

    apt-get download wordnet-base && dpkg -x wordnet-base_*.deb SOURCES
    python tools/build_lexicon.py SOURCES/usr/share/wordnet

The lexicon has the words of the anonymizer's vocabulary, since no others are left in an action when
it is compared. A line is `word family marks synonyms opposites`, where a dash stands for nothing, or
`form =word` for an irregular form. The verb `bring up` is written `bring_up`.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from keeper_grpc.privacy.text.word_lists import DATA, read_words  # noqa: E402  # needs the path

LEXICON = ROOT / "keeper_grpc/domain/patterns/merging/data/lexicon.txt"

FILES = {"n": "noun", "v": "verb", "a": "adj", "r": "adv"}
SENSES = {"n": 3, "v": 4, "a": 3, "r": 2}
"""Senses read by part of speech. WordNet lists the most frequent first, and actions of spas, salons
and gyms seldom use the tenth meaning of a word."""
PERSON = 18
"""The lexicographer's file of people."""
SHARED_STEM = 2
"""Letters that words of one family have in common, so that a derivation is also one in form."""
KINDS_OF_SENSE = {"1": "n", "2": "v", "3": "a", "4": "r", "5": "a"}
DERIVED = frozenset({"+", "\\"})
OPPOSITE = "!"
WORD = re.compile(r"[a-z]{2,}")
PHRASAL_VERB = re.compile(r"([a-z]{2,})_([a-z]{2,})")

Sense = tuple[str, str]
"""(part of speech, offset)."""


@dataclass(frozen=True)
class Synset:
    """file: the lexicographer's. pointers: (symbol, target, its word's number here, and there)."""

    file: int
    words: tuple[str, ...]
    pointers: tuple[tuple[str, Sense, int, int], ...]


def main() -> None:
    """Reads WordNet's files and the vocabulary, writes the lexicon."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("sources", type=Path)
    sources: Path = parser.parse_args().sources
    synsets = dict(read_synsets(sources))
    senses = read_senses(sources)
    uses = read_uses(sources)
    vocabulary = frozenset[str]().union(
        *(read_words(DATA / f"{name}.txt") for name in ("vocabulary", "trade_words"))
    )
    known = {word for word in senses if in_vocabulary(word, senses[word], vocabulary)}

    people = {word for word in known if is_person(word, senses, synsets, uses)}
    for word in people:
        # By a second meaning a manager would be a coach.
        first = next(sense for sense in senses[word] if sense[0] == "n")
        senses[word] = [first, *(sense for sense in senses[word] if sense[0] == "v")]
    families = Families()
    opposites: dict[str, set[str]] = defaultdict(set)
    meant: dict[str, set[Sense]] = defaultdict(set)
    for word in sorted(known):
        for sense in senses[word]:
            meant[word].add(sense)
            for symbol, target, here, there in synsets[sense].pointers:
                if not here or synsets[sense].words[here - 1] != word:
                    continue
                other = synsets[target].words[there - 1]
                if other not in known:
                    continue
                if symbol == OPPOSITE:
                    opposites[word].add(other)
                elif (
                    symbol in DERIVED
                    and not people & {word, other}
                    and word[:SHARED_STEM] == other[:SHARED_STEM]
                ):
                    families.join(word, other)

    holders = Counter(sense for word in known for sense in meant[word])
    numbers: dict[Sense, int] = {}
    lines = []
    for word in sorted(known):
        shared = sorted(sense for sense in meant[word] if holders[sense] > 1)
        synonyms = [str(numbers.setdefault(sense, len(numbers))) for sense in shared]
        marks = (
            ("n" if names_a_thing(word, senses, uses) else "")
            + ("o" if any(part == "n" for part, _ in senses[word]) else "")
            + ("v" if any(part == "v" for part, _ in senses[word]) else "")
            + ("a" if any(part == "a" for part, _ in senses[word]) else "")
            + ("p" if word in people else "")
        )
        columns = (
            word,
            families.of(word),
            marks or "-",
            ",".join(synonyms) or "-",
            ",".join(sorted(opposites[word])) or "-",
        )
        lines.append(" ".join(columns))
    lines += [
        f"{form} ={word}"
        for form, word in sorted(irregular_forms(sources))
        if form in vocabulary and word in known
    ]
    LEXICON.parent.mkdir(exist_ok=True)
    LEXICON.write_text("\n".join(lines) + "\n", encoding="ascii")


def in_vocabulary(word: str, senses: list[Sense], vocabulary: frozenset[str]) -> bool:
    """Whether the lexicon has this word, or phrasal verb."""
    if WORD.fullmatch(word):
        return word in vocabulary
    parts = PHRASAL_VERB.fullmatch(word)
    return parts is not None and vocabulary.issuperset(parts.groups()) and senses[0][0] == "v"


def irregular_forms(sources: Path) -> set[tuple[str, str]]:
    """(form, word) of verbs and nouns: (sent, send), (children, child)."""
    return {
        (form, words[0])
        for name in ("verb", "noun")
        for form, *words in map(
            str.split, (sources / f"{name}.exc").read_text("utf-8").splitlines()
        )
    }


def read_synsets(sources: Path) -> Iterator[tuple[Sense, Synset]]:
    """Every synset of the four data files (the format is in WordNet's wndb(5))."""
    for part, name in FILES.items():
        for line in (sources / f"data.{name}").read_text("utf-8").splitlines():
            if line.startswith(" "):
                continue
            fields = line.split("|")[0].split()
            count = int(fields[3], 16)
            words = tuple(
                re.sub(r"\(.*\)", "", word).lower() for word in fields[4 : 4 + 2 * count : 2]
            )
            at = 5 + 2 * count
            pointers = []
            for start in range(at, at + 4 * int(fields[at - 1]), 4):
                symbol, offset, target, ends = fields[start : start + 4]
                here, there = divmod(int(ends, 16), 256)
                pointers.append(
                    (
                        symbol,
                        ("a" if target == "s" else target, offset),
                        here,
                        there,
                    )
                )
            yield (part, fields[0]), Synset(int(fields[1]), words, tuple(pointers))


def read_senses(sources: Path) -> dict[str, list[Sense]]:
    """The first senses of every word, by part of speech."""
    senses: dict[str, list[Sense]] = defaultdict(list)
    for part, name in FILES.items():
        for line in (sources / f"index.{name}").read_text("utf-8").splitlines():
            if line.startswith(" "):
                continue
            fields = line.split()
            offsets = fields[-int(fields[2]) :]
            senses[fields[0].lower()] += [(part, offset) for offset in offsets[: SENSES[part]]]
    return dict(senses)


def read_uses(sources: Path) -> Counter[tuple[str, str]]:
    """How often a word was met as a part of speech in WordNet's tagged texts."""
    uses: Counter[tuple[str, str]] = Counter()
    for line in (sources / "cntlist.rev").read_text("utf-8").splitlines():
        key, _, count = line.split()
        word, _, rest = key.partition("%")
        uses[word, KINDS_OF_SENSE[rest[0]]] += int(count)
    return uses


def names_a_thing(
    word: str, senses: dict[str, list[Sense]], uses: Counter[tuple[str, str]]
) -> bool:
    """Whether the word is a noun at least as often as anything else."""
    parts = {part for part, _ in senses[word]}
    return "n" in parts and uses[word, "n"] >= max(uses[word, part] for part in parts)


def is_person(
    word: str,
    senses: dict[str, list[Sense]],
    synsets: dict[Sense, Synset],
    uses: Counter[tuple[str, str]],
) -> bool:
    """Whether the word's most frequent meaning is a person."""
    nouns = [sense for sense in senses[word] if sense[0] == "n"]
    return bool(nouns) and synsets[nouns[0]].file == PERSON and names_a_thing(word, senses, uses)


class Families:
    """Words that derive from each other, each family under the word that sorts first."""

    def __init__(self) -> None:
        self._above: dict[str, str] = {}

    def of(self, word: str) -> str:
        while (above := self._above.get(word, word)) != word:
            word = above
        return word

    def join(self, one: str, other: str) -> None:
        first, second = sorted((self.of(one), self.of(other)))
        self._above[second] = first


if __name__ == "__main__":
    main()
