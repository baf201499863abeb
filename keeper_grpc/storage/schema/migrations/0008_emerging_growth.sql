-- What the detector tells of a cluster beyond its counts; see keeper_grpc/domain/emerging.py.
ALTER TABLE emerging_patterns
    ADD COLUMN growth_rate double precision NOT NULL DEFAULT 0,
    ADD COLUMN novelty double precision NOT NULL DEFAULT 1;
