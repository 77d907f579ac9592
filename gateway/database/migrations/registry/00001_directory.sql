-- The directory: which practices there are, which hosts are theirs, and every version of their policies.
-- No personal data. Times are UTC microseconds; 0 is never.

-- +goose Up
CREATE TABLE practice (
    practice   TEXT   NOT NULL PRIMARY KEY,
    generation BIGINT NOT NULL, -- 1; one more each time the id is created again after a removal
    version    BIGINT NOT NULL, -- the policy version in force
    revision   BIGINT NOT NULL, -- one more with every change of this row
    suspended  BIGINT NOT NULL, -- 1: refused to everybody
    created    BIGINT NOT NULL, -- this generation
    removed    BIGINT NOT NULL,
    changed    BIGINT NOT NULL, -- the last change of this row, who made it and why
    who        TEXT   NOT NULL,
    why        TEXT   NOT NULL
);

CREATE TABLE host (
    host     TEXT NOT NULL PRIMARY KEY, -- lower case, exact
    practice TEXT NOT NULL REFERENCES practice (practice)
);

CREATE INDEX host_practice ON host (practice);

CREATE TABLE policy_version (
    practice   TEXT   NOT NULL,
    version    BIGINT NOT NULL, -- 1, 2, 3 … without a gap, over all generations
    generation BIGINT NOT NULL,
    document   TEXT   NOT NULL, -- canonical JSON
    who        TEXT   NOT NULL,
    why        TEXT   NOT NULL,
    at         BIGINT NOT NULL,
    previous   BYTEA  NOT NULL, -- the hash of the version before; 32 zero bytes for the first
    hash       BYTEA  NOT NULL, -- SHA-256 over all of the above
    PRIMARY KEY (practice, version)
);

-- +goose Down
DROP TABLE policy_version;
DROP TABLE host;
DROP TABLE practice;
