-- +goose Up

-- The practice's log: a hash chain. Nothing but retention deletes rows, nothing updates them.
CREATE TABLE audit_event (
    practice TEXT   NOT NULL,
    seq      BIGINT NOT NULL PRIMARY KEY,
    at       BIGINT NOT NULL, -- UTC, microseconds
    class    TEXT   NOT NULL,
    action   TEXT   NOT NULL,
    actor    TEXT   NOT NULL,
    subject  TEXT   NOT NULL,
    addr     TEXT   NOT NULL,
    request  TEXT   NOT NULL,
    detail   TEXT   NOT NULL, -- JSON object of texts, keys in order
    prev     BYTEA  NOT NULL, -- hash of the row before
    hash     BYTEA  NOT NULL
);
CREATE INDEX audit_event_at ON audit_event (at);

-- The signed end of the chain, written in the same transaction as the rows it covers.
CREATE TABLE audit_head (
    practice TEXT NOT NULL PRIMARY KEY,
    note     TEXT NOT NULL
);

-- The last head of every hour that had one.
CREATE TABLE audit_checkpoint (
    practice TEXT   NOT NULL,
    hour     BIGINT NOT NULL, -- hours since 1970 UTC
    size     BIGINT NOT NULL,
    note     TEXT   NOT NULL,
    PRIMARY KEY (practice, hour)
);

-- Where the chain begins after retention removed its first rows; signed.
CREATE TABLE audit_anchor (
    practice TEXT NOT NULL PRIMARY KEY,
    note     TEXT NOT NULL
);
