"""The program, loaded once and started often: each start is a fork of an interpreter that has its modules.

To load them takes seconds of processor time, which some hundred starts of a server or a command would each take
again. What is started so is a process of its own, with its own arguments, environment, directory and streams; what
tells of a fresh start (the arguments and variables that `/proc` shows, what is loaded when) is tested on one.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import IO, Any

REPOSITORY = Path(__file__).parents[1]

_LONGEST_ANSWER = 64
"""Bytes of a process's id, or of its exit status."""

_STREAMS = 3


class Started:
    """A started process, with as much of `subprocess.Popen` as tests use."""

    def __init__(self, answers: socket.socket) -> None:
        self._answers = answers
        self.returncode: int | None = None
        self.pid = self._answer()

    def _answer(self, flags: int = 0) -> int:
        said = self._answers.recv(_LONGEST_ANSWER, flags)
        assert said, "the loaded program ended"
        return int(said)

    def poll(self) -> int | None:
        """The exit code, negative for a signal; None while it runs."""
        if self.returncode is None:
            with contextlib.suppress(BlockingIOError):
                self.returncode = self._answer(socket.MSG_DONTWAIT)
                self._answers.close()
        return self.returncode

    def wait(self) -> int:
        """Wait until it ends: the exit code."""
        if self.returncode is None:
            self.returncode = self._answer()
            self._answers.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        """Send it SIGTERM."""
        self.send_signal(signal.SIGTERM)


def start(
    arguments: Sequence[str | Path],
    *,
    env: Mapping[str, str],
    stdout: IO[Any],
    stderr: IO[Any],
    cwd: Path = REPOSITORY,
) -> Started:
    """Start `keeper` with these arguments; it reads nothing."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs, tempfile.TemporaryFile() as wanted, Path(os.devnull).open("rb") as nothing:
        wanted.write(
            json.dumps(
                {"arguments": [*map(str, arguments)], "env": {**env}, "cwd": str(cwd)}
            ).encode()
        )
        wanted.flush()
        streams = [stream.fileno() for stream in (nothing, stdout, stderr)]
        socket.send_fds(_loaded(), [b"start"], [theirs.fileno(), wanted.fileno(), *streams])
    return Started(ours)


def run(
    arguments: Sequence[str | Path], *, env: Mapping[str, str], cwd: Path = REPOSITORY
) -> subprocess.CompletedProcess[str]:
    """Run `keeper` to its end: exit code, output and errors."""
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        code = start(arguments, env=env, stdout=out, stderr=err, cwd=cwd).wait()
        for stream in (out, err):
            stream.seek(0)
        return subprocess.CompletedProcess([*map(str, arguments)], code, out.read(), err.read())


@cache
def _loaded() -> socket.socket:
    """The line to the loaded program of this process of pytest, which ends when the line does."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        loaded = subprocess.Popen(
            [sys.executable, "-m", __name__, str(theirs.fileno())],
            cwd=REPOSITORY,
            stdin=subprocess.DEVNULL,
            # No terminal, or what it starts would think itself at one.
            stdout=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
        )
    atexit.register(_end, ours, loaded)
    return ours


def _end(line: socket.socket, loaded: subprocess.Popen[bytes]) -> None:
    line.close()
    loaded.wait()


def _wait_for_starts(line: socket.socket, defaults: Mapping[str, str]) -> list[str] | None:
    """Fork for each start. In the new process: its arguments; in this one, once nobody asks any more: None.

    `defaults` are the variables that the program sets itself.
    """
    running: dict[int, tuple[int, socket.socket]] = {}
    with selectors.DefaultSelector() as asked:
        asked.register(line, selectors.EVENT_READ)
        while True:
            for key, _ in asked.select():
                if key.fileobj is not line:
                    _tell_end(*running.pop(key.fd))
                    asked.unregister(key.fd)
                    os.close(key.fd)
                    continue
                said, received, *_ = socket.recv_fds(line, len(b"start"), 2 + _STREAMS)
                if not said:
                    return None
                answers, wanted, *streams = received
                pid = os.fork()
                if pid == 0:
                    for handle, (_, others) in running.items():
                        os.close(handle)
                        others.close()
                    os.close(answers)
                    line.close()
                    return _become(wanted, streams, defaults)
                for each in (wanted, *streams):
                    os.close(each)
                told = socket.socket(fileno=answers)
                told.send(str(pid).encode())
                handle = os.pidfd_open(pid)
                running[handle] = (pid, told)
                asked.register(handle, selectors.EVENT_READ)


def _tell_end(pid: int, answers: socket.socket) -> None:
    _, status = os.waitpid(pid, 0)
    with answers, contextlib.suppress(BrokenPipeError):  # who started it has gone on
        answers.send(str(os.waitstatus_to_exitcode(status)).encode())


def _become(wanted: int, streams: Sequence[int], defaults: Mapping[str, str]) -> list[str]:
    with os.fdopen(wanted, "rb") as file:
        file.seek(0)
        start = json.load(file)
    for place, stream in enumerate(streams):
        os.dup2(stream, place)
        os.close(stream)
    os.environ.clear()
    os.environ.update({**defaults, **start["env"]})
    time.tzset()
    tempfile.tempdir = None  # where it is, the environment says
    os.chdir(start["cwd"])
    arguments: list[str] = start["arguments"]
    sys.argv = ["keeper", *arguments]
    return arguments


def _serve() -> int:
    """What this module does as a program."""
    before = set(os.environ)
    # Only here: the tests that start it need none of it. First what says how the rest is loaded.
    from keeper_grpc.cli import SUBCOMMANDS, main  # noqa: PLC0415

    said = {name: value for name, value in os.environ.items() if name not in before}
    for module in ("keeper_grpc.process", *(each.module for each in SUBCOMMANDS)):
        import_module(module)
    assert len([*Path("/proc/self/task").iterdir()]) == 1, "a fork has none of the other threads"
    gc.freeze()  # or each process would copy what it looks through
    arguments = _wait_for_starts(socket.socket(fileno=int(sys.argv[1])), said)
    return 0 if arguments is None else main(arguments)


if __name__ == "__main__":
    sys.exit(_serve())
