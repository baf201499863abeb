-- Reports count patterns. A row of network_patterns fills a page with its vector, so a count that reads rows reads as many
-- pages as there are patterns, dead versions of their rows included. These indexes hold what is counted by.
CREATE INDEX network_patterns_discovered ON network_patterns (first_discovered)
    INCLUDE (scope_id, id, business_category, last_validated, account_count, occurrence_count, catalog_key);
-- Patterns that are shown in words of their own, and those that may be in the words of the pattern whose advice they began
-- with. A pattern is in one of them at most; the catalog's are few.
CREATE INDEX network_patterns_own_words ON network_patterns (account_count) INCLUDE (business_category)
    WHERE catalog_key IS NULL AND retired_time IS NULL AND occurrence_count > 0 AND shown_action <> '';
CREATE INDEX network_patterns_borrowed_words ON network_patterns (account_count) INCLUDE (business_category)
    WHERE catalog_key IS NULL AND retired_time IS NULL AND occurrence_count > 0 AND shown_action = ''
      AND worded_from IS NOT NULL;
-- An index alone answers for pages that were vacuumed since they were written: not after a fifth of all rows, a page each.
ALTER TABLE network_patterns SET (autovacuum_vacuum_scale_factor = 0.05);
