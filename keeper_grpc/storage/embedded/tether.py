"""Become another program that the kernel stops when our parent dies.

Run as a program: `python tether.py SIGNAL PARENT_PID UID GID PROGRAM ARGUMENT...`. It drops to
UID:GID where UID is not 0, asks the kernel (Linux) for SIGNAL at the parent's death, and executes
PROGRAM in its own place. A keeper that is killed with SIGKILL cannot stop its server; the kernel
can. A separate program, because code between fork and exec (`preexec_fn`) is unsafe beside gRPC's
threads. Imports nothing of ours: it runs with `-I -S`.
"""

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1
"""linux/prctl.h"""


def main() -> None:
    """Drop privileges, tie the knot, execute."""
    signal_number, parent, uid, gid = (int(word) for word in sys.argv[1:5])
    program = sys.argv[5:]
    if uid:
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    if sys.platform == "linux":
        # After setuid, which clears it; execve keeps it.
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal_number, 0, 0, 0)
        if os.getppid() != parent:
            sys.exit("the parent died before it could be watched")
    os.execv(program[0], program)  # noqa: S606  (replacing this process is the purpose)


if __name__ == "__main__":
    main()
