"""Every setting, typed, from the environment. An invalid one stops the start with a line that names it.

Each is an environment variable `KEEPER_<NAME>`, or a credential of systemd of that name. The descriptions are what `keeper serve --help` and
docs/operations.md show.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from keeper_grpc.environment import Unknown, unknown_variables
from keeper_grpc.settings.callers import CallerSettings
from keeper_grpc.settings.embedding import EmbeddingSettings
from keeper_grpc.settings.invalid import SettingsInvalid
from keeper_grpc.settings.learning import LearningSettings
from keeper_grpc.settings.listening import ListeningSettings
from keeper_grpc.settings.publishing import PublishingSettings
from keeper_grpc.settings.retention import RetentionSettings
from keeper_grpc.settings.storage import StorageSettings
from keeper_grpc.settings.streams import StreamSettings

PREFIX = "KEEPER_"

CLIENT_VARIABLES = frozenset({"KEEPER_TOKEN", "KEEPER_TOKEN_FILE"})
"""What the commands that call a server read, and no server does."""


# Fields are listed from the last base to the first, since pydantic collects them so.
class Settings(
    RetentionSettings,
    StreamSettings,
    LearningSettings,
    PublishingSettings,
    EmbeddingSettings,
    StorageSettings,
    CallerSettings,
    ListeningSettings,
    BaseSettings,
):
    """The settings of one process."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, extra="ignore", frozen=True, populate_by_name=True
    )

    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="least level that is logged"
    )
    log_format: Literal["auto", "json", "console"] = Field(
        "auto", description="auto is console on a terminal, else json"
    )

    @classmethod
    def from_environment(cls) -> Settings:
        """Read the environment, and what a supervisor hands over in files.

        Raises SettingsInvalid, which names misspelt variables as well.
        """
        try:
            return cls(_secrets_dir=_credentials())
        except ValidationError as error:
            lines = [
                f"{_variable(problem['loc'] or ('openai_api_key',))}: {problem['msg']}"
                for problem in error.errors()
            ]
            lines += map(str, cls.unknown())
            raise SettingsInvalid("\n".join(lines)) from None

    @model_validator(mode="before")
    @classmethod
    def _strip(cls, given: object) -> object:
        """A value out of a file, a secret or a form often ends with a space or a line break."""
        if not isinstance(given, dict):
            return given
        return {
            name: value.strip() if isinstance(value, str) else value
            for name, value in given.items()
        }

    @classmethod
    def unknown(cls) -> list[Unknown]:
        """Variables of the environment that look like settings but are not."""
        known = {PREFIX + name.upper() for name in cls.model_fields} | CLIENT_VARIABLES
        directory = _credentials()
        files = [(file.name, "") for file in directory.iterdir()] if directory else []
        return unknown_variables([*os.environ.items(), *files], PREFIX, known)

    @property
    def address(self) -> str:
        """Host and port as gRPC takes them: an IPv6 address in brackets."""
        host = self.host.strip("[]")
        return f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"


def _credentials() -> Path | None:
    """Where systemd puts a service's credentials: one file a setting, named like its variable.

    A variable of the environment has precedence.
    """
    directory = Path(os.environ.get("CREDENTIALS_DIRECTORY", ""))
    return directory if directory.is_absolute() and directory.is_dir() else None


def _variable(location: tuple[int | str, ...]) -> str:
    name = str(location[0]) if location else ""
    return name if name.isupper() else PREFIX + name.upper()
