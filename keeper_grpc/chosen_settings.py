"""Settings that come from the program alone."""

from __future__ import annotations

from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from keeper_grpc.settings import Settings


class ChosenSettings(Settings):
    """Settings that ignore the environment, so that a run on a database of its own does not depend on it."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what the caller passes."""
        del settings_cls, env_settings, dotenv_settings, file_secret_settings
        return (init_settings,)
