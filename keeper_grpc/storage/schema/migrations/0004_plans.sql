-- The functions that measure a group read a few rows by their keys. Planning their statements takes longer than running
-- them, so plans are kept; and a plan that is kept must not depend on how small a table was when it was made.
ALTER FUNCTION measure_outcomes(uuid[]) SET plan_cache_mode = force_generic_plan SET enable_seqscan = off;
ALTER FUNCTION begin_outcomes(uuid[]) SET plan_cache_mode = force_generic_plan SET enable_seqscan = off;
ALTER FUNCTION append_outcomes(uuid[], integer) SET plan_cache_mode = force_generic_plan SET enable_seqscan = off;
ALTER FUNCTION note_advised_outcomes(uuid[]) SET plan_cache_mode = force_generic_plan SET enable_seqscan = off;
ALTER FUNCTION note_outcomes(uuid[]) SET plan_cache_mode = force_generic_plan SET enable_seqscan = off;
ALTER FUNCTION measure_questions(uuid[]) SET plan_cache_mode = force_generic_plan SET enable_seqscan = off;
ALTER FUNCTION append_questions(uuid[], integer) SET plan_cache_mode = force_generic_plan SET enable_seqscan = off;
ALTER FUNCTION note_questions(uuid[]) SET plan_cache_mode = force_generic_plan SET enable_seqscan = off;
