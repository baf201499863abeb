"""What advice brings where it is followed: the experiment as treated.

To compare those who followed with the held out would be wrong: who follows is not who does not, and would have done
better or worse anyway. Chance decided who was advised, so assignment is an instrument (Angrist, Imbens and Rubin,
1996): the effect of advice on all who were given it, divided by the share that followed it (Wald, 1940), is the effect
on those who followed. This assumes that

- advice changes nothing where it is not followed, and
- the held out do not follow what they were not told; they may have done the same by themselves, which is what advice
  is compared with.

The interval inverts the experiment's own (Anderson and Rubin, 1949; Fieller, 1954): an effect is inside as long as
success less that effect for each that followed differs between the arms by no more than the confidence sequence
allows. So it holds at every look and by owner as that one does, excludes zero only when that one does, and is wide
where few follow, where a quotient's own standard error would claim too much.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from keeper_grpc.domain.metrics.contrast import Contrast

_STEP = 0.25
"""Between the effects at which an end of the interval is looked for before it is closed in on."""

_EFFECTS = (-1.0, -0.75, -0.5, -0.25, 0.0, 0.25, 0.5, 0.75, 1.0)

_EXACT = 1e-6


@dataclass(frozen=True, slots=True)
class AsTreated:
    """The effect on those who followed, None while none did or an arm is empty; its interval at every look; and the
    share of the advised outcomes whose advice was followed.
    """

    effect: float | None = None
    interval: tuple[float, float] = (-1.0, 1.0)
    followed_share: float = 0.0


def as_treated(found: Contrast | None) -> AsTreated:
    """The effect where advice is followed, from how the arms differ."""
    if found is None or found.followed <= 0:
        return AsTreated()
    effect = min(max(found.success / found.followed, -1.0), 1.0)
    if not found.shared:
        return AsTreated(effect, followed_share=found.followed)

    def inside(candidate: float) -> bool:
        left = abs(found.success - candidate * found.followed)
        return left <= found.half_width(candidate)

    # The outermost: where hardly anybody follows, what is inside need not hang together.
    accepted = [each for each in (*_EFFECTS, effect) if inside(each)]
    low, high = min(accepted, default=effect), max(accepted, default=effect)
    return AsTreated(
        effect,
        (_end(inside, low, -1.0), _end(inside, high, 1.0)),
        found.followed,
    )


def _end(inside: Callable[[float], bool], known: float, limit: float) -> float:
    """Where the interval ends between an effect that is inside and one a step further that is not."""
    outside = max(known - _STEP, limit) if limit < known else min(known + _STEP, limit)
    if inside(outside):
        return outside
    while abs(outside - known) > _EXACT:
        middle = (known + outside) / 2
        known, outside = (middle, outside) if inside(middle) else (known, middle)
    return outside
