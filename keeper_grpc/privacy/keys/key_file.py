"""The pseudonym key that a stand-alone service makes for itself, beside the database, not in it.

Losing the file means that no account can be recognized any more; back it up apart from the database.
"""

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
    """The key file does not hold a key, or is lost. With another key every account would look new."""


def load(directory: Path) -> dict[str, bytes] | None:
    """The key in `directory` by its id, or None when there is no file. Raises KeyFileInvalid."""
    path = directory / FILE
    try:
        encoded = path.read_bytes()
    except FileNotFoundError:
        if path.is_symlink():
            raise KeyFileInvalid(f"{path} is a link to a file that is not there") from None
        return None
    except OSError as error:
        raise KeyFileInvalid(f"{path} cannot be read: {error.strerror}") from error
    try:
        # A file that was put back by hand may end in a newline.
        key = base64.b64decode(encoded.strip(), validate=True)
    except ValueError as error:
        raise KeyFileInvalid(f"{path} does not hold a base64 key") from error
    if len(key) < MINIMUM_KEY_BYTES:
        raise KeyFileInvalid(f"{path} holds a key of less than {MINIMUM_KEY_BYTES} bytes")
    return {KEY_ID: key}


def create(directory: Path) -> dict[str, bytes]:
    """Make a key, readable by its owner only; the one that is there if another process was faster.

    Only for a database that has no key yet: see `make_pseudonyms`. Raises KeyFileInvalid.
    """
    try:
        _write(directory)
    except OSError as error:
        raise KeyFileInvalid(f"{directory / FILE} cannot be made: {error.strerror}") from error
    made = load(directory)
    if made is None:
        raise KeyFileInvalid(f"{directory / FILE} was removed while it was made")
    return made


def _write(directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / FILE
    partial = directory / f"{FILE}.{os.getpid()}"
    partial.unlink(missing_ok=True)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(base64.b64encode(secrets.token_bytes(MINIMUM_KEY_BYTES)))
            file.flush()
            os.fsync(file.fileno())
        # A link, which never replaces a file: whoever reads the key sees all of it, and the same one.
        path.hardlink_to(partial)
        _sync(directory)
    except FileExistsError:
        pass
    finally:
        partial.unlink()


def _sync(directory: Path) -> None:
    """Have the new name on disk before the first account is: a key must not be lost to a crash."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
