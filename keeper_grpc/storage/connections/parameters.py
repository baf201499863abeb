"""Reads a DSN as libpq does: a URL, or keywords with values, into parameters by name."""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

from keeper_grpc.storage.connections.unfit import DatabaseUrlInvalid

_SCHEMES = ("postgresql://", "postgres://")
_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_KEYWORD = re.compile(r"\s*([A-Za-z_]\w*)\s*=\s*")
_QUOTED = re.compile(r"'((?:[^'\\]|\\.)*)'(?=\s|$)", re.DOTALL)
_BARE = re.compile(r"((?:[^\s'\\]|\\.)*)(?=\s|$)", re.DOTALL)


def read_parameters(dsn: str) -> dict[str, str]:
    """The parameters of a DSN under libpq's names; an empty value counts as none.

    Raises DatabaseUrlInvalid, with nothing of the DSN.
    """
    scheme = next((scheme for scheme in _SCHEMES if dsn.startswith(scheme)), None)
    found = _of_keywords(dsn) if scheme is None else _of_url(dsn.removeprefix(scheme))
    if any("\0" in text for text in found.values()):
        raise DatabaseUrlInvalid
    if "database" in found:
        found.setdefault("dbname", found.pop("database"))
    return {name: text for name, text in found.items() if text}


def _of_url(rest: str) -> dict[str, str]:
    found: dict[str, str] = {}
    # As in libpq, user and password end at an @ before the first slash, and whatever else is in them is theirs. Of several
    # the last one counts, unless a query has begun: no name of a host has one.
    authority = rest.partition("/")[0]
    first = authority.find("@")
    query = authority.find("?", first + 1)
    end = authority.rfind("@", 0, query if query >= 0 else None)
    if end >= 0:
        user, _, password = rest[:end].partition(":")
        found |= {"user": _decoded(user), "password": _decoded(password)}
    place, _, options = rest[end + 1 :].partition("?")
    hosts, _, database = place.partition("/")
    found["dbname"] = _decoded(database)
    if hosts:
        found |= _of_hosts(hosts)
    for option in filter(None, options.split("&")):
        name, equals, text = option.partition("=")
        if not equals or not name:
            raise DatabaseUrlInvalid
        found[_decoded(name)] = _decoded(text)
    return found


def _of_hosts(hosts: str) -> dict[str, str]:
    names, ports = [], []
    for host in hosts.split(","):
        if host.startswith("["):
            name, bracket, after = host[1:].partition("]")
            if not bracket or (after and not after.startswith(":")):
                raise DatabaseUrlInvalid
            port = after[1:]
        else:
            name, _, port = host.partition(":")
        names.append(_decoded(name))
        ports.append(_decoded(port))
    found = {"host": ",".join(names)}
    if any(ports):
        found["port"] = ",".join(ports)
    return found


def _decoded(text: str) -> str:
    if _PERCENT.search(text):
        raise DatabaseUrlInvalid
    try:
        return unquote_to_bytes(text).decode()
    except UnicodeDecodeError:
        raise DatabaseUrlInvalid from None


def _of_keywords(dsn: str) -> dict[str, str]:
    found: dict[str, str] = {}
    at = 0
    while dsn[at:].strip():
        keyword = _KEYWORD.match(dsn, at)
        if keyword is None:
            raise DatabaseUrlInvalid
        value = _QUOTED.match(dsn, keyword.end()) or _BARE.match(dsn, keyword.end())
        if value is None:
            raise DatabaseUrlInvalid
        found[keyword[1]] = re.sub(r"\\(.)", r"\1", value[1], flags=re.DOTALL)
        at = value.end()
    if not found:
        raise DatabaseUrlInvalid
    return found
