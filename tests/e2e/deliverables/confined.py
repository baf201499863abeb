"""Run a program under a filter of system calls, as systemd does: `confined.py NAME,NAME,... PROGRAM ARGUMENT...`.

What is not named fails with EPERM. Exit code 77: there is no libseccomp here.
"""

from __future__ import annotations

import ctypes
import os
import sys

EPERM = 1
ALLOW = 0x7FFF0000
REFUSE = 0x00050000 | EPERM
"""libseccomp's SCMP_ACT_ALLOW and SCMP_ACT_ERRNO(EPERM)."""

UNAVAILABLE = 77

UNKNOWN = -1
"""A name that this kernel's architecture does not have."""


def confine(allowed: list[str]) -> None:
    """From now on, also for what is executed, no other calls. Raises OSError."""
    seccomp = ctypes.CDLL("libseccomp.so.2", use_errno=True)
    seccomp.seccomp_init.restype = ctypes.c_void_p
    filtered = ctypes.c_void_p(seccomp.seccomp_init(REFUSE))
    for name in allowed:
        number = seccomp.seccomp_syscall_resolve_name(name.encode())
        if number != UNKNOWN:
            # A pseudo number, of a call that other architectures have, is refused here.
            seccomp.seccomp_rule_add_exact(filtered, ctypes.c_uint32(ALLOW), number, 0)
    if failed := seccomp.seccomp_load(filtered):
        raise OSError(-failed, os.strerror(-failed))


if __name__ == "__main__":
    try:
        confine(sys.argv[1].split(","))
    except OSError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(UNAVAILABLE)
    os.execv(sys.argv[2], sys.argv[2:])  # noqa: S606 - the test's own command
