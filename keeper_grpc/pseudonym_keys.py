"""Checks the pseudonym keys of this process against those that its database was written with."""

from __future__ import annotations

from functools import partial

import structlog

from keeper_grpc.privacy.keys import key_file
from keeper_grpc.privacy.keys.key_file import KeyFileInvalid
from keeper_grpc.privacy.keys.pseudonyms import Pseudonyms
from keeper_grpc.settings import Settings
from keeper_grpc.start_checks import given_pseudonyms
from keeper_grpc.storage.accounts.key_agreement import KnownKeys, require_agreement
from keeper_grpc.storage.accounts.pseudonym_keys import PostgresPseudonymKeys
from keeper_grpc.storage.database import Database

log = structlog.get_logger()


async def make_pseudonyms(settings: Settings, pool: Database) -> Pseudonyms:
    """The pseudonyms of a process that serves, under keys that fit the database.

    A key whose id the database does not know is recorded; without keys in the settings, the key file is
    made for a database that knows none. Raises SettingsInvalid, KeyFileInvalid and PseudonymKeysUnfit.
    """
    store = PostgresPseudonymKeys(pool)
    pseudonyms = given_pseudonyms(settings) or _from_key_file(settings, await store.known())
    if pseudonyms is None:
        pseudonyms = Pseudonyms(key_file.create(settings.data_dir), key_file.KEY_ID)
    added, known = await store.record(pseudonyms.check_values(), partial(_key_source, settings))
    for key_id in added:
        if key_id in known.carried:
            # Accounts from before the database had check values: nothing proves that this is their key.
            log.warning("pseudonym_key_trusted", key_id=key_id)
        else:
            log.info("pseudonym_key_recorded", key_id=key_id)
    return pseudonyms


async def check_pseudonym_keys(settings: Settings, pool: Database) -> None:
    """Check the keys of a one-shot command against the database, and record none.

    Such a command makes no pseudonyms, so keys may be missing. Raises SettingsInvalid,
    KeyFileInvalid and PseudonymKeysUnfit.
    """
    if settings.pseudonym_keys is None and settings.database_url is not None:
        return
    known = await PostgresPseudonymKeys(pool).known()
    pseudonyms = given_pseudonyms(settings) or _from_key_file(settings, known)
    held = {} if pseudonyms is None else pseudonyms.check_values()
    require_agreement(held, known, partial(_key_source, settings))


def _from_key_file(settings: Settings, known: KnownKeys) -> Pseudonyms | None:
    """The pseudonyms under the data directory's key; None while nothing in the database needs one."""
    keys = key_file.load(settings.data_dir)
    if keys is not None:
        return Pseudonyms(keys, key_file.KEY_ID)
    if key_file.KEY_ID in known.check_values or key_file.KEY_ID in known.carried:
        raise KeyFileInvalid(
            f"{settings.data_dir / key_file.FILE} is missing, and this database knows its key, "
            f"{key_file.KEY_ID!r}: put the file back from its backup; with a new key every account would "
            "look new"
        )
    require_agreement({}, known, partial(_key_source, settings))
    return None


def _key_source(settings: Settings, key_id: str) -> str:
    """The setting or file to correct for the key of this id."""
    if settings.pseudonym_keys is None and key_id == key_file.KEY_ID:
        return str(settings.data_dir / key_file.FILE)
    return "KEEPER_PSEUDONYM_KEYS"
