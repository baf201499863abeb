"""Every text that a caller can send has a rule, and every rule a field."""

from __future__ import annotations

from tests.rpc.accounts.text_fields import RULES, methods, rule, text_fields


def test_every_text_field_of_every_request_has_a_rule() -> None:
    """A new field says in tests/rpc/accounts/text_fields.py what becomes of its text, and is searched for there."""
    without = [
        f"{method.input_type.name}.{'.'.join(path)}"
        for method in methods()
        for path in text_fields(method.input_type)
        if rule(method.input_type.name, path) is None
    ]
    assert without == []


def test_every_rule_has_a_field() -> None:
    """A rule that nothing needs would hide that a field was renamed."""
    paths = {
        f"{method.input_type.name}.{'.'.join(path)}"
        for method in methods()
        for path in text_fields(method.input_type)
    }
    assert [end for end in RULES if not any(f".{path}".endswith(f".{end}") for path in paths)] == []
