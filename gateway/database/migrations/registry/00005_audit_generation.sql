-- +goose Up

-- Which generation of the practice the head belongs to: one that begins again under a
-- removed practice's id has a log of its own.
ALTER TABLE audit_head ADD COLUMN generation BIGINT NOT NULL DEFAULT 1;

-- +goose Down
ALTER TABLE audit_head DROP COLUMN generation;
