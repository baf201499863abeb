-- What the author of a pattern of the catalog says about it. A table apart from network_patterns: those
-- figures are evidence, these are not.
CREATE TABLE authored_claims (
    pattern_id              uuid PRIMARY KEY REFERENCES network_patterns ON DELETE CASCADE,
    follow_up_action        text NOT NULL DEFAULT '',
    success_rate            double precision CHECK (success_rate > 0 AND success_rate < 1),
    learned_from            integer CHECK (learned_from >= 1),  -- businesses
    monthly_revenue_dollars double precision,
    adoption_rate           double precision CHECK (adoption_rate > 0 AND adoption_rate < 1),
    rating_improvement      double precision,
    improvement_factor      double precision CHECK (improvement_factor > 0),
    improvement_days        integer CHECK (improvement_days >= 1),
    CHECK ((improvement_factor IS NULL) = (improvement_days IS NULL))
);

-- It counted cases and was never set: the catalog had no such figure before this migration.
ALTER TABLE network_patterns DROP COLUMN learned_from;

-- Which catalog a server seeded at its start, so that it does so once and not at every start.
CREATE TABLE seeded_catalogs (
    embedding_model text NOT NULL,
    catalog_version integer NOT NULL,
    seeded_time     timestamptz NOT NULL,
    PRIMARY KEY (embedding_model, catalog_version)
);
