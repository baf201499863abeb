"""Where each table of the schema lies in a distributed database."""

from __future__ import annotations

from keeper_grpc.storage.schema.distribution import PLACES, Place
from keeper_grpc.storage.schema.migrate import packaged_migrations, tables_of


def test_each_table_has_a_place() -> None:
    """A table that a migration adds is named with its place, so that none is forgotten on one node."""
    assert set(PLACES) == {*tables_of(packaged_migrations()), "schema_migrations"}


def test_what_is_spread_by_scope_is_keyed_by_scope() -> None:
    """Each table that is spread by scope has the scope in its primary key, as Citus demands."""
    schema = "\n".join(sql for one in packaged_migrations() for _, sql in one.files)
    for table in (table for table, place in PLACES.items() if place is Place.SCOPE):
        body = schema.split(f"CREATE TABLE {table} (", 1)[1].split("\n);", 1)[0]
        (key,) = [line for line in body.splitlines() if "PRIMARY KEY" in line]
        assert "scope_id" in key, table
