"""Where declared names stand in a text: whole, in part, as initials, with a slip, run together or apart."""

from __future__ import annotations

from itertools import pairwise
from typing import Final

from rapidfuzz.distance import DamerauLevenshtein

from keeper_grpc.privacy.layers.declared.index import NameIndex, Who
from keeper_grpc.privacy.layers.protected import settle
from keeper_grpc.privacy.text import cues
from keeper_grpc.privacy.text.draft import Draft, is_slot
from keeper_grpc.privacy.text.phrases import Phrases
from keeper_grpc.privacy.text.plain_uses import is_function_word, plainly_a_word
from keeper_grpc.privacy.text.reading import Reading
from keeper_grpc.privacy.text.tokens import Word
from keeper_grpc.privacy.text.word_lists import listed

SHORTEST_TYPO: Final = 4
"""Shorter names are one letter away from too many words."""
TWO_TYPOS_FROM: Final = 8
"""From this length two slips may still be the same name."""
LONGEST_GAP: Final = 5
"""Characters between two words of a business: `'s & `."""

_ABBREVIATIONS: Final = frozenset(
    listed("vip sms am pm ok us uk tv dj id pt hr ceo pr roi no so to at as is it or an in on")
)
_TEMPLATE_WORDS: Final = frozenset(
    listed(
        "name first last full service services date time day offer discount staff stylist link "
        "phone number location visit visits favorite favourite product price amount"
    )
)
"""What ordinary placeholders are made of: `{first_name}` is no business called First."""


class DeclaredNames:
    """Finds the names of an index."""

    def __init__(self, index: NameIndex, catalog: Phrases | None) -> None:
        self._index = index
        self._vocabulary = index.vocabulary
        self._catalog = catalog

    def __bool__(self) -> bool:
        return bool(self._index.wanted)

    def find(self, draft: Draft) -> dict[int, Who]:
        """Which words of the draft are whose name."""
        words, known = draft.words(), self._vocabulary.known
        hits = self._hits(draft)
        found: dict[int, Who] = {}
        if not hits:
            return found
        reading = Reading.of(draft, self._vocabulary)
        if any(words[at].key in known for at in hits):
            settle(draft, self._vocabulary.services, self._vocabulary)
            if self._catalog:
                settle(draft, self._catalog, self._vocabulary)
        for step, at in enumerate(hits):
            if step % 64 == 0:
                draft.record.check_time()
            if at in found:
                continue
            who: Who | None
            length, who = self._business_at(reading, at)
            if who is None:
                length, who = 1, self._person_at(reading, at)
            if who is None:
                length, who = 2, self._split_name(reading, at)
            if who is not None:
                found.update(dict.fromkeys(range(at, at + length), who))
        self._absorb_initials(reading, found)
        return found

    def _hits(self, draft: Draft) -> list[int]:
        """The words to look at: declared or unknown ones, and halves of declared ones."""
        words, wanted, lengths = draft.words(), self._index.wanted, self._index.lengths
        known, text = self._vocabulary.known, draft.text
        found = set[int]()
        if not (wanted.isdisjoint(draft.keys()) and known.issuperset(draft.keys())):
            found = {
                at for at, word in enumerate(words) if word.key in wanted or word.key not in known
            }
        for at, (word, following) in enumerate(pairwise(words)):
            if (
                len(word.key) + len(following.key) in lengths
                and following.start - word.end <= 1
                and word.key + following.key in wanted
                and not is_slot(text[word.end])
            ):
                found.add(at)
        return sorted(found)

    def _business_at(self, reading: Reading, at: int) -> tuple[int, Who | None]:
        """How many words from here on are a business's, and whose."""
        word = reading.words[at]
        for run, who in self._index.phrases.get(word.key, ()):
            if self._run_at(reading, at, run):
                return len(run), who
        leading = self._index.leading.get(word.key)
        if leading is not None and self._leads(reading, at):
            return 1, leading
        if word.key.endswith("s"):  # `the Glows` without its apostrophe
            for run, who in self._index.phrases.get(word.key[:-1], ()):
                if len(run) == 1:
                    return 1, who
        return 0, None

    def _leads(self, reading: Reading, at: int) -> bool:
        """Whether the first word of a business's name stands for the whole: `from Glow`, `{glow}`."""
        word = reading.words[at]
        if word.settled:
            return False
        if word.capitalized and reading.cased and not reading.opens(at):
            return True
        if word.key in _TEMPLATE_WORDS:
            return False
        return _in_braces(reading.text, word)

    def _run_at(self, reading: Reading, at: int, run: tuple[str, ...]) -> bool:
        """Whether the words from `at` on are the run; all but the first may have a slip."""
        found = reading.words[at : at + len(run)]
        if len(found) < len(run):
            return False
        for near in range(1, len(run)):
            gap = reading.text[found[near - 1].end : found[near].start]
            if len(gap) > LONGEST_GAP or ("." in gap and gap != ".") or any(map(is_slot, gap)):
                return False
            key = found[near].key
            if key not in {run[near], run[near] + "s"} and not (
                len(key) >= SHORTEST_TYPO
                and key not in self._vocabulary.known
                and DamerauLevenshtein.distance(key, run[near], score_cutoff=1) <= 1
            ):
                return False
        return True

    def _person_at(self, reading: Reading, at: int) -> Who | None:
        index, word = self._index, reading.words[at]
        key = word.key
        known = key in self._vocabulary.known
        who = index.people.get(key) or index.joined.get(key)
        if who is not None:
            if not known or self._beside_the_rest(reading, at, who):
                return who
            if is_function_word(key):
                return who if _stands_out(reading, at) else None
            return None if plainly_a_word(reading, at) else who
        if key.endswith("s"):  # `the Does`, `Janes card`: without its apostrophe, or all of them
            who = index.people.get(key[:-1])
            if who is not None and (not known or _is_plural_name(reading, at)):
                return who
        if word.shouted and key not in _ABBREVIATIONS:
            who = index.initials.get(key)
            if who is not None:
                return who
        return None if known else self._typo_of(key)

    def _split_name(self, reading: Reading, at: int) -> Who | None:
        """`le blanc` for LeBlanc, `serenity spa` for SerenitySpa, `A Day` for Ann Day."""
        words = reading.words
        if at + 1 == len(words) or words[at + 1].start - words[at].end > 1:
            return None
        word = words[at]
        if word.key in {"a", "i"} and (not word.capitalized or reading.opens(at)):
            return None  # `a day pass`
        joined = word.key + words[at + 1].key
        return self._index.people.get(joined) or self._index.joined.get(joined)

    def _beside_the_rest(self, reading: Reading, at: int, who: Who) -> bool:
        """Whether another part of the same name stands beside the word."""
        return any(
            0 <= near < len(reading.words)
            and reading.words[near].key != reading.words[at].key
            and self._index.people.get(reading.words[near].key) is who
            for near in (at - 1, at + 1)
        )

    def _typo_of(self, key: str) -> Who | None:
        if len(key) < SHORTEST_TYPO:
            return None
        for name, who in self._index.people.items():
            if len(name) < SHORTEST_TYPO or abs(len(name) - len(key)) > 2:  # noqa: PLR2004  # two slips at most
                continue
            allowed = 2 if len(name) >= TWO_TYPOS_FROM else 1
            if DamerauLevenshtein.distance(name, key, score_cutoff=allowed) <= allowed:
                return who
        return None

    def _absorb_initials(self, reading: Reading, found: dict[int, Who]) -> None:
        """`J. Doe`, `Jane D.`, `J.D.`: single letters that are the person's."""
        # A dict is a set that keeps the order of the text.
        letters = {at: None for at, word in enumerate(reading.words) if len(word.key) == 1}
        if not letters:
            return
        for at in letters:
            for near in (at - 1, at + 1):
                who = found.get(near)
                if who and reading.words[at].key in {part[0] for part in who.identity.split()}:
                    first, last = sorted((at, near))
                    gap = reading.text[reading.words[first].end : reading.words[last].start]
                    if len(gap) <= 2 and (reading.words[at].capitalized or not reading.cased):  # noqa: PLR2004  # ". "
                        found.setdefault(at, who)
        for at in letters:
            following = at + 1
            if at in found or following not in letters or following in found:
                continue
            pair = reading.words[at].key + reading.words[following].key
            gap = reading.text[reading.words[at].end : reading.words[following].start]
            who = self._index.initials.get(pair)
            if who and gap in {".", ". "}:
                found[at] = found[following] = who


def _stands_out(reading: Reading, at: int) -> bool:
    """Whether a word like `you` or `an` is written as a name: `call An`, `Mr. So`, `YOU's`."""
    word = reading.words[at]
    if at and reading.words[at - 1].key in cues.SHORT_TITLES:
        return True
    if word.clitic == "'s" and word.key not in cues.SUBJECTS:
        return True
    return word.capitalized and len(word.key) > 1 and reading.cased and not reading.opens(at)


def _is_plural_name(reading: Reading, at: int) -> bool:
    """`the Prices cancelled`, `the roses' bill`: not `the prices rose`."""
    word = reading.words[at]
    if word.settled:
        return False
    if reading.text[word.end : word.end + 1] in {"'", "\u2019"}:
        return True
    if word.capitalized and reading.cased and not reading.opens(at):
        return True
    if reading.after(at) in cues.HUMAN or reading.before(at) in cues.SHORT_TITLES:
        return True
    # `the roses always come together`: what a family does, with a word of time between.
    verb = at + 1
    while verb < len(reading.words) and reading.words[verb].key in _OFTEN:
        verb += 1
    return (
        reading.before(at) == "the"
        and verb < len(reading.words)
        and reading.words[verb].key in _OF_FAMILIES
    )


_OFTEN: Final = frozenset(listed("always never usually often still all both just never only"))
_OF_FAMILIES: Final = frozenset(
    listed(
        "come want book like love prefer need ask pay tip bring owe live moved cancel canceled cancelled "
        "rebook no-showed arrive arrived hate split share sit"
    )
)
"""What people do and things hardly: `the prices come down` is what this costs."""


def _in_braces(text: str, word: Word) -> bool:
    """Whether the word stands inside a placeholder of any template language."""
    before = text[: word.start].rpartition(" ")[2]
    return any(char in before for char in "{<%[$") or before.endswith("_")
