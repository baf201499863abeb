from __future__ import annotations

import re
from argparse import ArgumentTypeError

import pytest

from keeper_grpc import cli
from keeper_grpc.command.arguments import as_typed, within
from keeper_grpc.settings import PREFIX, Settings


@pytest.mark.parametrize("text", ["nan", "inf", "-0.1", "1.1", "x", ""])
def test_a_number_out_of_its_range_is_refused(text: str) -> None:
    """With the range; NaN is in none."""
    with pytest.raises(ArgumentTypeError, match=r"is not a number from 0\.0 to 1\.0"):
        within(float, 0.0, 1.0)(text)


@pytest.mark.parametrize("text", ["0", "1"])
def test_both_ends_of_a_range_are_in_it(text: str) -> None:
    """As its message says."""
    assert within(float, 0.0, 1.0)(text) == float(text)


@pytest.mark.parametrize("command", ["health", "watch", "patterns", "metrics", "dashboard"])
@pytest.mark.parametrize("target", ["", " ", "\udcff", "a\nb"])
def test_a_target_that_is_no_address_is_refused_before_it_is_asked(
    capsys: pytest.CaptureFixture[str], command: str, target: str
) -> None:
    """Bytes that are not UTF-8 would end in a traceback of gRPC, an empty one in a message without a name."""
    with pytest.raises(SystemExit) as ended:
        cli.main([command, "--target", target])
    assert ended.value.code == 2
    assert "is not an address" in capsys.readouterr().err


def test_a_service_that_has_no_name_in_protobuf_is_refused(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Before anything is asked."""
    with pytest.raises(SystemExit):
        cli.main(["health", "--service", "\udcff"])
    assert "is not the name of a service" in capsys.readouterr().err


def test_help_shows_every_default_as_its_variable_takes_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seconds and true or false: what stands there may be typed, and says what it said."""
    with pytest.raises(SystemExit):
        cli.main(["serve", "--help"])
    said = capsys.readouterr().out
    typed = {
        name: as_typed(field.default)
        for name, field in Settings.model_fields.items()
        if field.default_factory is None and as_typed(field.default)
    }
    for name, value in typed.items():
        line = said.partition(f"\n  {PREFIX}{name.upper()}\n")[2].partition("\n")[0]
        assert line.endswith(f"(default: {value})")
        monkeypatch.setenv(PREFIX + name.upper(), value)
    read = Settings.from_environment()

    assert [getattr(read, name) for name in typed] == [
        Settings.model_fields[name].default for name in typed
    ]


CALLERS = ("health", "watch", "patterns", "pattern", "metrics", "dashboard", "import")
OPERATORS = ("accounts register", "accounts update", "forget", "retire", "audit")


@pytest.mark.parametrize("command", [*CALLERS, *OPERATORS])
def test_every_command_that_calls_a_server_takes_tls_and_a_token(
    capsys: pytest.CaptureFixture[str], command: str
) -> None:
    """By the same options, whatever else it takes."""
    with pytest.raises(SystemExit):
        cli.main([*command.split(), "--help"])
    said = capsys.readouterr().out

    for option in ("target", "tls", "tls-ca", "tls-certificate", "tls-key", "token-file"):
        assert re.search(rf"^  --{option}\b", said, re.MULTILINE), option
