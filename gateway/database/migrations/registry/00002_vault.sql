-- +goose Up
-- Which master key the keys below are sealed under. One row.
CREATE TABLE vault_master (
    id BIGINT NOT NULL PRIMARY KEY CHECK (id = 1),
    key_id TEXT NOT NULL,
    changed_at BIGINT NOT NULL
);
-- Each practice's own key, sealed under the master key with the practice's id and the key's version authenticated.
CREATE TABLE vault_key (
    practice TEXT NOT NULL PRIMARY KEY,
    key_version BIGINT NOT NULL,
    master TEXT NOT NULL,
    sealed BYTEA NOT NULL,
    created_at BIGINT NOT NULL
);
-- Keys that sign identity assertions. A key signs from not_before on, until a younger key's not_before; it is published
-- until not_after (0: no successor yet).
CREATE TABLE signing_key (
    kid TEXT NOT NULL PRIMARY KEY,
    master TEXT NOT NULL,
    public BYTEA NOT NULL,
    sealed BYTEA NOT NULL,
    created_at BIGINT NOT NULL,
    not_before BIGINT NOT NULL,
    not_after BIGINT NOT NULL
);
-- +goose Down
DROP TABLE signing_key;
DROP TABLE vault_key;
DROP TABLE vault_master;
