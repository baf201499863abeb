-- A number alone does not name an event: a database that is restored gives the numbers of what it lost to
-- other events. Each event has a tag that no other will ever have, and resume tokens carry it.
ALTER TABLE emerging_events
    ADD COLUMN tag uuid NOT NULL DEFAULT gen_random_uuid();

-- The tag of the place up to which events are gone; before the first event, one of the database's own.
ALTER TABLE emerging_history
    ADD COLUMN trimmed_tag uuid NOT NULL DEFAULT gen_random_uuid();
UPDATE emerging_history h SET trimmed_tag = e.tag
  FROM emerging_events e WHERE e.sequence = h.trimmed_sequence;
