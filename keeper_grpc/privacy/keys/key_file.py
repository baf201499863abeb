"""The pseudonym key that a stand-alone service makes for itself, beside the database, not in it."""

from __future__ import annotations

import base64
import os
import secrets
from pathlib import Path

from keeper_grpc.operator_error import OperatorError
from keeper_grpc.privacy.keys.pseudonyms import MINIMUM_KEY_BYTES

FILE = "pseudonym.key"
KEY_ID = "local"


class KeyFileInvalid(OperatorError):
    """The key file does not hold a key. Without the right one, every account would look new."""


def load_or_create(directory: Path) -> dict[str, bytes]:
    """The key in `directory`, made at the first call, readable by its owner only.

    Losing the file means that no account can be recognized any more; back it up apart from the
    database. Raises KeyFileInvalid.
    """
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / FILE
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        pass
    else:
        with os.fdopen(descriptor, "wb") as file:
            file.write(base64.b64encode(secrets.token_bytes(MINIMUM_KEY_BYTES)))
            file.flush()
            os.fsync(file.fileno())
    try:
        key = base64.b64decode(path.read_bytes(), validate=True)
    except ValueError as error:
        raise KeyFileInvalid(f"{path} does not hold a base64 key") from error
    if len(key) < MINIMUM_KEY_BYTES:
        raise KeyFileInvalid(f"{path} holds a key of less than {MINIMUM_KEY_BYTES} bytes")
    return {KEY_ID: key}
