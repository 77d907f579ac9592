-- +goose Up

-- A copy of each practice's newest signed audit head. It stands outside the practice's
-- database, so that an older copy of that database, put back, does not pass.
CREATE TABLE audit_head (
    practice TEXT   NOT NULL PRIMARY KEY,
    size     BIGINT NOT NULL,
    note     TEXT   NOT NULL
);
