"""The environment variables of the prefix that are no settings: misspelt ones, and Kubernetes' own.

For each Service of a namespace, Kubernetes puts its address into the environment of every container
(https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables). Those of a
Service called `keeper`, or `keeper-<anything>`, begin as our settings do.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

_SERVICE_ADDRESS = re.compile(r"(tcp|udp|sctp)://([0-9.]+|\[[0-9a-f:.]+\]):[0-9]{1,5}")
"""The form of Kubernetes' `<SERVICE>_PORT`: `tcp://10.96.0.12:50051`, `tcp://[fd00::1]:50051`."""

_SERVICE_VARIABLE = re.compile(
    r"_SERVICE_HOST|_SERVICE_PORT(_[A-Z0-9_]+)?|_PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?"
)
"""The endings of Kubernetes' other names, for every Service."""

_SIMILAR = 0.6
"""difflib's own cutoff: `PROT` is PORT, `DB_URL` is DATABASE_URL, `COLOUR` is nothing of ours."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """A variable that is no setting, and the setting whose name is most like it, if any is."""

    name: str
    similar: str | None

    def __str__(self) -> str:
        hint = "" if self.similar is None else f"; did you mean {self.similar}?"
        return f"{self.name}: there is no such setting{hint}"


def is_service_address(value: str) -> bool:
    """Whether Kubernetes wrote this value, of a variable that ends with `_PORT`."""
    return _SERVICE_ADDRESS.fullmatch(value) is not None


def unknown_variables(
    environ: Iterable[tuple[str, str]], prefix: str, known: Collection[str]
) -> list[Unknown]:
    """The variables of `environ` that begin with `prefix` and are not `known`, sorted by name.

    Letters' case does not matter, as for the settings themselves. Those of the tests
    (`<prefix>TEST_...`) and of Kubernetes are left out.
    """
    return sorted(_unknown(environ, prefix, known), key=lambda variable: variable.name)


def _unknown(
    environ: Iterable[tuple[str, str]], prefix: str, known: Collection[str]
) -> Iterator[Unknown]:
    # Without the prefix, which would make all of them alike.
    names = [name.removeprefix(prefix) for name in known if name.startswith(prefix)]
    for name, value in environ:
        upper = name.upper()
        rest = upper.removeprefix(prefix)
        if rest == upper or rest.startswith("TEST_") or upper in known:
            continue
        # The prefix ends with the underscore that a Service's own suffix begins with.
        if _is_of_a_service(f"_{rest}", value):
            continue
        similar = difflib.get_close_matches(rest, names, n=1, cutoff=_SIMILAR)
        yield Unknown(name, prefix + similar[0] if similar else None)


def _is_of_a_service(name: str, value: str) -> bool:
    if name.endswith("_PORT") and is_service_address(value):
        return True
    # One of a longer name (`keeper-metrics`) has words before its suffix.
    return any(_SERVICE_VARIABLE.fullmatch(name, at) for at in _underscores(name))


def _underscores(name: str) -> Iterator[int]:
    return (match.start() for match in re.finditer("_", name))
