"""When an account's outcomes of a pattern begin to count: in steps.

Were each counted as it comes, whoever looks before and after would read it; and whoever knows the outcomes of all
the others would know when the last one acted, how often, and with what success. So an account's first outcome
counts at once, because it joins; then they count when there are half a step of them, a whole one, and with every
further step. Until then they wait in the ledger: nothing that is judged or shown is made of them.
"""

from __future__ import annotations

EXACT = 1
"""The step with which every outcome counts as it comes."""


def due(outcomes: int, step: int) -> bool:
    """Whether all of an account's outcomes of one pattern count, once there are so many of them."""
    return outcomes == 1 or outcomes == (step + 1) // 2 or outcomes % step == 0


def reactions_due(counted: int, reported: int, step: int) -> bool:
    """Whether an account's reactions to one pattern's advice count, of which so many do and so many were reported.

    The first waits for others: alone it would say what the account thought of that one piece of advice.
    """
    return any(
        number == (step + 1) // 2 or number % step == 0
        for number in range(counted + 1, reported + 1)
    )
