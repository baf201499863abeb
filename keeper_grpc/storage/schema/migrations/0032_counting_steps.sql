-- An account's outcomes begin to count in steps (keeper_grpc/domain/evidence/steps.py): those that do not count yet
-- wait in the ledger. What was counted as it came stays so.
ALTER TABLE observations ADD COLUMN counted boolean NOT NULL DEFAULT true;
CREATE INDEX observations_waiting ON observations (account_key, pattern_id) WHERE NOT counted;
