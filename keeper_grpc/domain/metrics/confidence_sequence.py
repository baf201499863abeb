"""Half-widths that hold at every look (Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas, 2024).

Robbins' normal mixture boundary over the information, 1 / variance.
"""

from __future__ import annotations

import math

from scipy.special import lambertw

LEVEL = 0.05
"""The chance that the true difference is ever outside."""

SHARPEST = 0.05
"""The standard error at which the interval is narrowest for what it promises: that of a comparison which just shows an
uplift of 15 to 20 points. Fixed beforehand: it decides about the width, never about the promise."""

_PRECISION = SHARPEST**-2 / (-float(lambertw(-(LEVEL**2) / math.e, -1).real) - 1)
"""The precision of the mixture's normal distribution: the boundary is lowest at SHARPEST."""


def half_width(variance: float) -> float:
    """The half-width that holds at every look, for a difference of this variance."""
    information = 1 / variance + _PRECISION
    return math.sqrt(information * math.log(information / (_PRECISION * LEVEL**2))) * variance
