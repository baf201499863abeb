"""Every setting of a process, by topic."""

from keeper_grpc.settings.invalid import SettingsInvalid
from keeper_grpc.settings.settings import PREFIX, Settings

__all__ = ["PREFIX", "Settings", "SettingsInvalid"]
