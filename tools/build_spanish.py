"""Builds keeper_grpc/domain/patterns/merging/data/spanish.txt from the Spanish wordnet. Run by hand, rarely.

    apt-get download wordnet-base && dpkg -x wordnet-base_*.deb SOURCES
    python tools/build_spanish.py SOURCES/usr/share/wordnet MCR

MCR is the folder with the Spanish files of the Multilingual Central Repository 3.0 in WordNet's format, and with the
`ili.csv` that names their synsets in WordNet 3.0 (extjwnl-data-mcr30, 2016 release). A line is `word gloss`, the English word of
the lexicon that says most often what the Spanish one says, or `form =word` for an irregular form.
"""

from __future__ import annotations

import argparse
import bisect
import re
import unicodedata
from collections import Counter, defaultdict
from pathlib import Path

DATA = Path(__file__).parent.parent / "keeper_grpc/domain/patterns/merging/data"

FILES = {"n": "noun", "v": "verb", "a": "adj", "r": "adv"}
KINDS_OF_SENSE = {"1": "n", "2": "v", "3": "a", "4": "r", "5": "a"}
WORD = re.compile(r"[^\W\d_]{2,}")
FARTHEST = 60
"""Bytes by which the offset of a synset may differ: packages of WordNet 3.0 differ in a few letters, and a line has more
than so many."""
SHARED_STEM = 4
"""Letters that cognates have in common."""
OFTEN_ENOUGH = 0.02
"""Of how often the most frequent word says the same."""
UNTAGGED = 0.5
"""What a sense counts that the tagged texts do not have: less than one that they have once."""

Sense = tuple[str, int]
"""(part of speech, offset in WordNet)."""


def main() -> None:
    """Reads both wordnets, writes the glosses."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("wordnet", type=Path)
    parser.add_argument("mcr", type=Path)
    sources = parser.parse_args()
    lexicon = {line.split()[0] for line in (DATA / "lexicon.txt").read_text("ascii").splitlines()}
    english = english_words(sources.wordnet, lexicon)
    scores: dict[str, Counter[str]] = defaultdict(Counter)
    for part, name in FILES.items():
        same = in_wordnet(sources.wordnet, sources.mcr, part)
        for word, offsets in read_index(sources.mcr / f"index.{name}"):
            for offset in offsets:
                if WORD.fullmatch(word) and offset in same:
                    scores[word].update(english.get((part, same[offset]), {}))
    glosses = {word: chosen(word, found) for word, found in scores.items() if found}
    lines = [f"{word} {gloss}" for word, gloss in sorted(glosses.items())]
    lines += [
        f"{form} ={word}"
        for form, word in sorted(irregular_forms(sources.mcr))
        if word in glosses and form not in glosses
    ]
    (DATA / "spanish.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


def chosen(word: str, found: Counter[str]) -> str:
    """What says most often what the word says; a cognate where one says it often enough.

    Cognates are as many as the words themselves, where the most frequent word stands for many: "prohibir" is to prohibit, not
    to prevent.
    """
    most = max(found.values())
    begins = unicodedata.normalize("NFD", word).encode("ascii", "ignore").decode()[:SHARED_STEM]
    return min(
        found,
        key=lambda gloss: (
            not (gloss.startswith(begins) and len(begins) == SHARED_STEM)
            or found[gloss] < OFTEN_ENOUGH * most,
            -found[gloss],
            gloss,
        ),
    )


def english_words(wordnet: Path, lexicon: set[str]) -> dict[Sense, dict[str, float]]:
    """The lexicon's words of each synset, with how often each is used in that meaning."""
    uses: Counter[tuple[str, str, int]] = Counter()
    for line in (wordnet / "cntlist.rev").read_text("utf-8").splitlines():
        key, number, count = line.split()
        word, _, rest = key.partition("%")
        uses[word, KINDS_OF_SENSE[rest[0]], int(number)] += int(count)
    found: dict[Sense, dict[str, float]] = defaultdict(dict)
    for part, name in FILES.items():
        for word, offsets in read_index(wordnet / f"index.{name}"):
            if word not in lexicon or "_" in word:
                continue
            for number, offset in enumerate(offsets, start=1):
                found[part, offset][word] = uses[word, part, number] + UNTAGGED
    return found


def in_wordnet(wordnet: Path, mcr: Path, part: str) -> dict[int, int]:
    """Synsets of the repository by offset, as offsets in this WordNet."""
    name = FILES[part]
    here = sorted(
        {offset for _, offsets in read_index(mcr / f"index.{name}") for offset in offsets}
    )
    there = sorted(
        int(line.split(" ", 1)[0])
        for line in (wordnet / f"data.{name}").read_text("utf-8").splitlines()
        if not line.startswith(" ")
    )
    same = {}
    for line in (mcr / "ili.csv").read_text("ascii").splitlines():
        number, original = line.split(",")
        if number[0] != part:
            continue
        wanted = int(original[1:])
        place = bisect.bisect_left(there, wanted)
        near = min(there[max(place - 1, 0) : place + 1], key=lambda offset: abs(offset - wanted))
        if abs(near - wanted) <= FARTHEST:
            same[here[int(number[2:])]] = near
    return same


def read_index(path: Path) -> list[tuple[str, list[int]]]:
    """Each word with its synsets' offsets, the most frequent sense first (the format is in WordNet's wndb(5))."""
    words = []
    for line in path.read_text("utf-8").splitlines():
        if line.startswith(" "):
            continue
        fields = line.split()
        words.append((fields[0].lower(), [int(each) for each in fields[6 + int(fields[3]) :]]))
    return words


def irregular_forms(mcr: Path) -> set[tuple[str, str]]:
    """(form, word) of verbs. Nouns and adjectives are regular enough for the rules of `spanish.py`."""
    return {
        (form, words[0])
        for form, *words in map(str.split, (mcr / "verb.exc").read_text("utf-8").splitlines())
        if WORD.fullmatch(form) and words
    }


if __name__ == "__main__":
    main()
