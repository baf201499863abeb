"""What may be published: who counts, from when, which words pass, and what is never advised."""

from __future__ import annotations

import base64
from datetime import timedelta
from typing import Literal

from pydantic import BaseModel, Field

from keeper_grpc.settings.invalid import SettingsInvalid
from keeper_grpc.settings.values import Accounts, AnySeconds, Limit, Seconds, Secret, Text


class PublishingSettings(BaseModel):
    """The k of everything that leaves an account, and its keys."""

    pseudonym_keys: Secret = Field(
        None,
        description="id:base64[,id:base64...], keys of the account pseudonyms, the current one "
        "first, the same on every host; unset makes one in the data directory, which only the bundled "
        "database allows",
    )
    min_accounts: Accounts = Field(
        3, description="k: distinct owners of accounts behind anything that is published"
    )
    complaint_limit: Limit = Field(
        0.02,
        description="share of outcomes with a complaint above which, with 95% certainty, a pattern is not advised",
    )
    unsubscribe_limit: Limit = Field(
        0.05,
        description="share of outcomes with an unsubscription above which, with 95% certainty, a pattern is not "
        "advised",
    )
    open_accounts: bool | None = Field(
        None,
        description="true counts accounts that were never registered towards k, too; unset is true with "
        "the bundled database and false with another",
    )
    account_min_age: AnySeconds | None = Field(
        None,
        description="time since an account's first call or registration from which it counts; unset is "
        "0 with open accounts, else a day",
    )
    account_min_active_days: int | None = Field(
        None,
        ge=0,
        le=36_500,
        description="days with an observation of an account from which it counts; unset is 0 with open "
        "accounts, else 2",
    )
    qualification_interval: Seconds = Field(
        timedelta(minutes=1), description="time between looks for accounts that have begun to count"
    )
    word_approval: Literal["automatic", "manual"] = Field(
        "automatic",
        description="manual lets a word that k owners use pass only after keeper words approve",
    )
    shared_keys: Text = Field(
        "", description="condition keys to share beyond the built-in ones, comma-separated"
    )

    def pseudonym_key_map(self) -> dict[str, bytes] | None:
        """The pseudonym keys by id, the current one first. Raises SettingsInvalid."""
        if self.pseudonym_keys is None:
            return None
        keys: dict[str, bytes] = {}
        for item in self.pseudonym_keys.get_secret_value().split(","):
            key_id, _, encoded = item.strip().partition(":")
            if key_id in keys:
                raise SettingsInvalid("KEEPER_PSEUDONYM_KEYS: a key id occurs twice")
            try:
                keys[key_id] = base64.b64decode(encoded, validate=True)
            except ValueError:
                raise SettingsInvalid(
                    "KEEPER_PSEUDONYM_KEYS: write id:base64[,id:base64...], "
                    "the same on every host that serves this database"
                ) from None
        return keys
