"""What the parent tells a worker, and what the worker answers once it serves."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Self

from keeper_grpc.settings import Settings


@dataclass(frozen=True, slots=True)
class Worker:
    """One of several serving processes.

    number: from 1 on. port, http_port, admin_port: which all of them share; the latter are None without HTTP, and where
    AdminService has no port of its own. dsn: of the bundled database, which the parent has started and
    migrated; None where the settings name another.
    """

    number: int
    port: int
    dsn: str | None
    http_port: int | None = None
    admin_port: int | None = None

    def settings(self, common: Settings) -> Settings:
        """The settings of this worker: the port that the parent holds, and a metrics port of its own."""
        metrics_port = common.metrics_port
        if metrics_port:  # 0 picks a free one for each
            metrics_port += self.number - 1
        changed: dict[str, object] = {"port": self.port, "metrics_port": metrics_port}
        if common.http_address and self.http_port is not None:
            changed["http_address"] = (common.http_address[0], self.http_port)
        if common.admin_address and self.admin_port is not None:
            changed["admin_address"] = (common.admin_address[0], self.admin_port)
        return common.model_copy(update=changed)

    def to_json(self) -> str:
        """For the worker's command line: nothing in it is secret."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """As the parent wrote it."""
        return cls(**json.loads(text))
