"""The base of errors that an operator can correct: a setting, a file, a database, a port."""

from __future__ import annotations


class OperatorError(Exception):
    """Something outside the program is wrong. The message says what to do, on one line or a few.

    `keeper` prints it without a traceback and exits with 1. It never holds a value that may be a
    secret.
    """
