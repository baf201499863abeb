-- What is certain of a pattern is computed under the most cautious prior that the other patterns of its type leave
-- open (keeper_grpc/domain/evidence/priors.py), what is expected of it under the one that fits them best, which may
-- be borrowed from all types.

ALTER TABLE network_patterns
    ADD COLUMN cautious_successes double precision NOT NULL DEFAULT 2.8,
    ADD COLUMN cautious_failures  double precision NOT NULL DEFAULT 13.2,
    DROP CONSTRAINT network_patterns_prior_source_check,
    ADD CHECK (prior_source IN ('category', 'type', 'network', 'default', 'author'));

-- '' stands for every category, and for every type. The next start learns all.
DELETE FROM learned_priors;
ALTER TABLE learned_priors
    ADD COLUMN cautious_successes double precision NOT NULL,
    ADD COLUMN cautious_failures  double precision NOT NULL,
    DROP CONSTRAINT learned_priors_source_check,
    ADD CHECK (source IN ('category', 'type', 'network'));

-- The next start computes all bounds anew.
UPDATE evidence_settings SET k = NULL;
