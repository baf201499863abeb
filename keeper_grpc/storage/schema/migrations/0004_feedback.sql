-- How outcomes depend on the situation, and how patterns fare in other categories.

-- Each account's share of a pattern in one facet of a situation: "whole:<hash>" is the situation as a
-- whole, "<key>=<value>" one fact of it. Only facets that enough accounts share are ever used.
CREATE TABLE pattern_facets (
    pattern_id       uuid NOT NULL REFERENCES network_patterns ON DELETE CASCADE,
    facet            text NOT NULL,
    account_key      text NOT NULL REFERENCES accounts,
    occurrence_count bigint NOT NULL,
    success_count    bigint NOT NULL,
    PRIMARY KEY (pattern_id, facet, account_key)
);
CREATE INDEX pattern_facets_account ON pattern_facets (account_key);

CREATE INDEX observations_reported ON observations (pattern_type, business_category)
    WHERE enhancement_id IS NOT NULL;
