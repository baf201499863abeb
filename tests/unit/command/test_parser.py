from __future__ import annotations

import argparse

import pytest

from keeper_grpc import cli
from keeper_grpc.command.parser import CommandParser
from keeper_grpc.version import version


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["srve"], "'srve', did you mean serve?"),
        (["dashbord"], "'dashbord', did you mean dashboard?"),
        (["privacy-report", "--split", "tunning"], "'tunning', did you mean tuning?"),
        (["demo", "--stya"], "--stya, did you mean --stay?"),
        (["import", "f", "--mapping", "m", "--rejets=r"], "--rejets=r, did you mean --rejects?"),
        (["import", "f", "--mappign", "m"], "required: --mapping, did you mean --mapping?"),
        (["--verison"], "required: command, did you mean --version?"),
    ],
    ids=["command", "command-2", "choice", "option", "option-with-value", "required", "no-command"],
)
def test_a_typo_is_answered_with_the_word_that_was_meant(
    capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    """For commands, choices and options alike, on the last line, with argparse's exit code."""
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    assert ended.value.code == 2
    assert capsys.readouterr().err.rstrip().endswith(said)


def test_a_word_that_is_like_nothing_gets_the_choices(capsys: pytest.CaptureFixture[str]) -> None:
    """No guess is better than a far-fetched one."""
    with pytest.raises(SystemExit):
        cli.main(["xyzzy"])
    said = capsys.readouterr().err
    assert "did you mean" not in said
    assert "choose from serve, migrate" in said


def test_words_that_are_left_over_are_named() -> None:
    """An argument too many is refused as before, without a hint where none fits."""
    parser: argparse.ArgumentParser = CommandParser(prog="p", exit_on_error=False)
    parser.add_argument("--stay", action="store_true")
    with pytest.raises(SystemExit):
        parser.parse_args(["more"])
    assert parser.parse_args(["--stay"]).stay


def test_a_command_is_declared_once_and_only_when_it_is_chosen() -> None:
    """What the others are made of is not loaded for it."""
    declared: list[str] = []

    def declare(parser: argparse.ArgumentParser) -> None:
        declared.append(parser.prog)
        parser.add_argument("--loud", action="store_true")

    parser = CommandParser(prog="p")
    commands = parser.add_subparsers(parser_class=CommandParser)
    for name in ("sing", "dance"):
        commands.add_parser(name).declared_by(declare)

    assert parser.parse_args(["sing", "--loud"]).loud
    assert not parser.parse_args(["sing"]).loud
    assert declared == ["p sing"]


def test_a_checkout_that_is_not_installed_has_no_version(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`keeper --version` says so."""
    monkeypatch.setattr("keeper_grpc.version.DISTRIBUTION", "no-such-distribution")
    with pytest.raises(SystemExit) as ended:
        cli.main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == "keeper unknown: the program is not installed\n"


def test_the_version_is_that_of_the_distribution(capsys: pytest.CaptureFixture[str]) -> None:
    """`keeper --version` needs no command and prints one line."""
    with pytest.raises(SystemExit) as ended:
        cli.main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"keeper {version()}\n"
