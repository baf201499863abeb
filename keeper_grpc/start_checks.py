"""Checks a start by its settings alone, in milliseconds, before anything heavy is loaded."""

from __future__ import annotations

import os

from keeper_grpc.listening import check_listening, is_guarded
from keeper_grpc.privacy.keys.pseudonyms import Pseudonyms
from keeper_grpc.settings import Settings, SettingsInvalid
from keeper_grpc.telemetry.environment import asked


def check_start(settings: Settings) -> None:
    """Raise SettingsInvalid, FileUnusable or TelemetryUnusable for settings that would stop this start later."""
    check_settings(settings)
    if is_guarded(settings):
        # Only who asks for it waits for what reads keys and certificates.
        from keeper_grpc.composition.guarded_access import check_access  # noqa: PLC0415

        check_access(settings)
    asked(os.environ)


def check_settings(settings: Settings) -> None:
    """Raise SettingsInvalid for settings that do not go together."""
    check_listening(settings)
    given_pseudonyms(settings)


def given_pseudonyms(settings: Settings) -> Pseudonyms | None:
    """The pseudonyms under the keys of the settings, None where the data directory has the key.

    Raises SettingsInvalid, also where there is no data directory and no key.
    """
    keys = settings.pseudonym_key_map()
    if keys is None:
        if settings.database_url is not None:
            # Two processes with a key each would count every account twice.
            raise SettingsInvalid(
                "KEEPER_PSEUDONYM_KEYS: required with KEEPER_DATABASE_URL: take its value from a host that "
                "serves this database; only for a database that no host has served yet, make one "
                "(docs/privacy.md says how)"
            )
        return None
    try:
        return Pseudonyms(keys, next(iter(keys)))
    except ValueError as error:
        raise SettingsInvalid(f"KEEPER_PSEUDONYM_KEYS: {error}") from error
