-- +goose Up

-- Jobs that one node does at a time: who is at it until when, and when it was last done, by the database's clock.
CREATE TABLE lease (
    name    TEXT   NOT NULL PRIMARY KEY,
    holder  TEXT   NOT NULL,
    expires BIGINT NOT NULL,
    done    BIGINT NOT NULL
);

-- +goose Down
DROP TABLE lease;
