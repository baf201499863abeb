"""The settings of a command, with the log set up as they say."""

from __future__ import annotations

from keeper_grpc.settings import Settings


def read_settings() -> Settings:
    """Read the environment, and warn of variables that are no settings. Raises SettingsInvalid."""
    import structlog

    from keeper_grpc import logs

    settings = Settings.from_environment()
    logs.configure(settings.log_level, settings.log_format)
    for variable in Settings.unknown():
        structlog.get_logger().warning(
            "unknown_setting", variable=variable.name, did_you_mean=variable.similar
        )
    return settings
