-- +goose Up

-- What the TLS server keeps: certificates with their private keys, accounts at the certificate authority, session
-- ticket keys. name is a path with slashes; sealed is encrypted, with its name authenticated.
CREATE TABLE certificate_file (
    name     TEXT   NOT NULL PRIMARY KEY,
    sealed   BYTEA  NOT NULL,
    size     BIGINT NOT NULL, -- of what is sealed, in bytes
    modified BIGINT NOT NULL
);

-- Who orders a certificate now. The owner counts beat up while it lives. No times: the clocks of the nodes may differ.
CREATE TABLE certificate_lock (
    name  TEXT   NOT NULL PRIMARY KEY,
    owner TEXT   NOT NULL,
    beat  BIGINT NOT NULL
);

-- The certificates that were ordered lately, so that all nodes together stay below the authority's limits.
CREATE TABLE certificate_order (
    id       TEXT   NOT NULL PRIMARY KEY,
    practice TEXT   NOT NULL,
    at       BIGINT NOT NULL
);

CREATE INDEX certificate_order_at ON certificate_order (at);

-- The last day on which a practice's audit log was told about a host's certificate.
CREATE TABLE certificate_warning (
    host TEXT   NOT NULL,
    kind TEXT   NOT NULL,
    day  BIGINT NOT NULL, -- since 1970, UTC
    PRIMARY KEY (host, kind)
);

-- +goose Down
DROP TABLE certificate_warning;
DROP TABLE certificate_order;
DROP TABLE certificate_lock;
DROP TABLE certificate_file;
