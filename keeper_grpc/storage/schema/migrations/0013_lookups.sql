-- What waits to be measured is looked up by account, and then scope by scope (begin_outcomes): with the scope in the index, each
-- of these reads what waits there, not what waits in all scopes.
CREATE INDEX observations_unmeasured_scope ON observations (account_key, scope_id) WHERE measured_day IS NULL;
DROP INDEX observations_unmeasured;

-- A page of one type and category is the first rows of an index, too, and not those of the whole list that are of it.
CREATE INDEX network_patterns_listing_scope
    ON network_patterns (pattern_type, business_category, confidence_score DESC, id);
