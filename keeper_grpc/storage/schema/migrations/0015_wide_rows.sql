-- A sighting is written once, and changed once by the detector, which writes all of its row again: its cluster, and that nobody
-- need look at it any more. The vector, nine tenths of the row, never changes. Out of line it is written once: the detector's
-- change writes 2 KB instead of 13. Whoever reads it reads a few by their keys, or all of them now and then beside the steps.
-- Older rows keep their form until they are changed.
DO $$
DECLARE
    spread boolean := false;
BEGIN
    -- A table that lies on workers already keeps its form: a cluster cannot be told to change it.
    IF is_spread() THEN
        EXECUTE 'SELECT EXISTS (SELECT FROM pg_dist_partition WHERE logicalrelid = ''sightings''::regclass)' INTO spread;
    END IF;
    IF NOT spread THEN
        ALTER TABLE sightings ALTER COLUMN embedding SET STORAGE EXTERNAL;
    END IF;
END $$;

-- A vector stays in its row, and makes it wider than the two kilobytes above which PostgreSQL moves what it can out of line:
-- every text of more than 24 bytes, the name of the model too. Reading a pattern's texts was as many look-ups. What fits into a
-- page stays together from now on; a row of a pattern fills one in any case.
ALTER TABLE network_patterns SET (toast_tuple_target = 8160);
