"""Values that a mapping names, and the cells that mean them.

`completed`, `COMPLETED` and ` Completed ` are one answer to whoever wrote the mapping. A value that is
written exactly goes first, so that a mapping may tell `m` from `M`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection
from typing import Final

_YES: Final = frozenset(
    [
        "y",
        "yes",
        "yep",
        "yeah",
        "true",
        "t",
        "1",
        "x",
        "ok",
        "oui",
        "ja",
        "si",
        "sí",
        "sim",
        "sì",
        "vrai",
        "verdadeiro",
        "verdadero",
        "wahr",
        "da",
        "tak",
        "ano",
        "igen",
        "evet",
        "kyllä",
        "s",
        "j",
        "1.0",
        "да",
        "так",
        "\u03bd\u03b1\u03b9",
        "نعم",
        "כן",
        "はい",
        "是的",
        "有",
        "네",
        "예",
        "ใช่",
        "có",
        "ya",
        "jah",
        "já",
        "jā",
        "taip",
        "vero",
        "tosi",
        "sant",
        "on",
        "-1",
        "+",
        "👍",
        "checked",
        "是",
        "✅",
        "✓",
        "✔",
        "☑",
    ]
)
"""Yes, as programs and languages write it."""

_NO: Final = frozenset(
    (
        *(
            "n",
            "no",
            "nope",
            "false",
            "f",
            "0",
            "0.0",
            "non",
            "nein",
            "não",
            "nao",
            "faux",
            "falso",
        ),
        *("falsch", "ne", "nie", "nem", "hay\u0131r", "ei", "nej", "nee", "нет", "いいえ", "否"),
        *(
            "όχι",
            "لا",
            "לא",
            "不",
            "没有",
            "아니요",
            "아니오",
            "ไม่",
            "không",
            "tidak",
            "ні",
            "nē",
        ),
        *("off", "unchecked", "👎", "✗", "✘", "❌", "☐"),
    )
)
"""No, as programs and languages write it."""

_DONE: Final = frozenset(
    (
        *("attended", "attending", "showed", "showed up", "arrived", "checked in", "checked-in"),
        *("completed", "complete", "done", "finished", "fulfilled", "success", "successful"),
        *("rebooked", "returned", "came back", "renewed", "won", "achieved", "présent", "effectué"),
        *(
            "terminé",
            "completado",
            "completada",
            "completata",
            "completato",
            "realizado",
            "asistió",
        ),
        *(
            "erledigt",
            "abgeschlossen",
            "erschienen",
            "gekommen",
            "concluído",
            "voltooid",
            "verschenen",
        ),
        *(
            "show",
            "kept",
            "came",
            "visited",
            "paid",
            "present",
            "venu",
            "venue",
            "payé",
            "vino",
            "pagado",
        ),
        *(
            "genomförd",
            "udført",
            "gjennomført",
            "valmis",
            "zrealizowana",
            "zrealizowano",
            "dokončeno",
        ),
        *(
            "tamamland\u0131",
            "geldi",
            "выполнено",
            "завершено",
            "已完成",
            "完成",
            "完了",
            "来店",
            "완료",
            "تم",
        ),
    )
)
"""What status columns write of what took place."""

_SELECTORS: Final = dict.fromkeys((0xFE0E, 0xFE0F, 0x200B, 0xFEFF, 0x200E, 0x200F))
"""Invisible: whether a sign is drawn in colour, and marks of blanks and of direction."""

_WHOLE: Final = re.compile(r"(\d+)\.0+")


def find(cell: str, values: Collection[str]) -> str | None:
    """The value that the cell means, or None. Case, blanks and the form of accents do not matter."""
    if cell in values:
        return cell
    wanted = folded(cell)
    found = [value for value in values if folded(value) == wanted]
    if not found and (whole := _WHOLE.fullmatch(wanted)):
        # A program that knows no empty whole number writes 1 as 1.0.
        found = [value for value in values if folded(value) == whole[1]]
    return found[0] if len(found) == 1 else None


def _bare(text: str) -> str:
    """Folded, without what may stand around a word: `Yes.`, `(yes)`, `TRUE()`, `done!`."""
    whole = folded(text)
    return whole.strip("!.;:,()[]\"'=* ") or whole


def folded(text: str) -> str:
    """The form in which texts are compared."""
    return " ".join(unicodedata.normalize("NFKC", text.translate(_SELECTORS)).casefold().split())


def says_yes(cell: str) -> bool:
    """Whether the cell is a word for yes, whatever the mapping names."""
    return _bare(cell) in _YES


def says_no(cell: str) -> bool:
    """Whether the cell is a word for no."""
    return folded(cell) in _NO


def says_done(cell: str) -> bool:
    """Whether the cell says that something took place, as status columns do."""
    return _bare(cell) in _DONE
