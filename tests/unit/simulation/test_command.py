import argparse

import pytest

from keeper_grpc.simulation.command import declare


def parse(*arguments: str) -> argparse.Namespace:
    """What `keeper simulate` makes of its arguments."""
    parser = argparse.ArgumentParser()
    declare(parser)
    return parser.parse_args(arguments)


def test_sizes_are_a_list() -> None:
    """Commas part them; what is not said is the default."""
    assert parse("--customers", "5,20").customers == (5, 20)
    assert parse().customers == (10, 50, 200)
    assert parse().out is None
    assert (parse().reversals, parse().reversal_day) == (0.0, None)


@pytest.mark.parametrize(
    "bad",
    [
        ("--customers", "0"),
        ("--customers", "10,"),
        ("--days", "x"),
        ("--follow", "1.5"),
        ("--hunch", "nan"),
        ("--category-effect", "-1"),
        ("--repertoire", "11"),
        ("--reversals", "1.1"),
        ("--reversal-day", "0"),
    ],
)
def test_nonsense_is_refused(bad: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    """A number out of range ends with the usage and code 2, before anything is started."""
    with pytest.raises(SystemExit) as exit_:
        parse(*bad)
    assert exit_.value.code == 2
    assert bad[0] in capsys.readouterr().err
