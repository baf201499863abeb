"""The pseudonym keys: whether they are there, fit the database, and are closed to others. They are never shown."""

from __future__ import annotations

import stat

from keeper_grpc.operations.doctor.finding import Finding, ok, problem, warning
from keeper_grpc.operator_error import OperatorError
from keeper_grpc.privacy.keys import key_file
from keeper_grpc.pseudonym_keys import check_pseudonym_keys
from keeper_grpc.settings import Settings
from keeper_grpc.start_checks import given_pseudonyms
from keeper_grpc.storage.accounts.pseudonym_keys import PostgresPseudonymKeys
from keeper_grpc.storage.database import Database


def keys_at_hand(settings: Settings) -> Finding:
    """Whether this process has keys that can be read."""
    try:
        given = given_pseudonyms(settings)
        keys = None if given is not None else key_file.load(settings.data_dir)
    except OperatorError as error:
        return _problem(error)
    if given is not None:
        ids = list(given.check_values())
        return ok("keys", f"KEEPER_PSEUDONYM_KEYS has {', '.join(ids)}")
    path = settings.data_dir / key_file.FILE
    if keys is None:
        return ok("keys", f"none yet: the first start makes {path}")
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        return warning("keys", f"others may read {path}", f"chmod 600 {path}")
    return ok("keys", f"{path} has {key_file.KEY_ID}")


async def keys_agree(settings: Settings, pool: Database) -> Finding:
    """Whether they are the keys that the database was written with."""
    try:
        await check_pseudonym_keys(settings, pool)
    except OperatorError as error:
        return _problem(error)
    return ok("keys", "they are the database's")


async def keys_carried(settings: Settings, pool: Database) -> Finding:
    """How many accounts carry each key, and which of the keys at hand nothing carries any more."""
    store = PostgresPseudonymKeys(pool)
    known, counts = await store.known(), await store.accounts_by_key()
    listed = ", ".join(f"{key_id} ({count})" for key_id, count in sorted(counts.items()))
    found = f"accounts by key: {listed or 'none yet'}"
    held = list(settings.pseudonym_key_map() or ())
    # The first is the current one: new accounts will carry it.
    spare = [key_id for key_id in held[1:] if key_id not in known.carried]
    if spare:
        found += f"; {', '.join(spare)} may be dropped from KEEPER_PSEUDONYM_KEYS once every host has another in front"
    return ok("keys", found)


def _problem(error: OperatorError) -> Finding:
    found, _, cure = str(error).rpartition(": ")
    return problem(
        "keys", found or str(error), cure if found else "put the key back from its backup"
    )
