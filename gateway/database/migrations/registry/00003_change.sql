-- +goose Up
-- What every node must hear of, in the order of seq. Publishing takes the number from change_state in the same
-- transaction, so numbers are never used twice and become visible in order.
CREATE TABLE change (
    seq BIGINT NOT NULL PRIMARY KEY,
    at BIGINT NOT NULL,
    practice TEXT NOT NULL,
    kind TEXT NOT NULL,
    ref TEXT NOT NULL
);
CREATE INDEX change_at ON change (at);
-- last: the highest number given. pruned: all up to this one may have been deleted. One row.
CREATE TABLE change_state (
    id BIGINT NOT NULL PRIMARY KEY CHECK (id = 1),
    last BIGINT NOT NULL,
    pruned BIGINT NOT NULL
);
INSERT INTO change_state (id, last, pruned) VALUES (1, 0, 0);
-- +goose Down
DROP TABLE change_state;
DROP TABLE change;
