-- +goose Up
-- A session of a person, under its public id (a UUID that stays the same when the
-- cookie changes). Times are UTC unix microseconds.
CREATE TABLE session (
    practice  TEXT   NOT NULL,
    id        TEXT   NOT NULL,
    person    TEXT   NOT NULL,
    created   BIGINT NOT NULL,
    last_seen BIGINT NOT NULL,
    agent     TEXT   NOT NULL,
    addr      TEXT   NOT NULL,
    PRIMARY KEY (practice, id)
);
CREATE INDEX session_person ON session (practice, person, created);
CREATE INDEX session_created ON session (practice, created);
CREATE INDEX session_seen ON session (practice, last_seen);

-- What a cookie opens, and with which assurance. hash is the SHA-256 of the token.
-- dies_at is 0 for the session's current token; a token that a rotation replaced
-- opens the session with its old assurance until dies_at. held is the level whose
-- factor the practice's identity provider holds and proved at this sign-in, or 0.
CREATE TABLE session_token (
    hash        BYTEA  NOT NULL PRIMARY KEY,
    practice    TEXT   NOT NULL,
    session     TEXT   NOT NULL,
    dies_at     BIGINT NOT NULL,
    proved_aal1 BIGINT NOT NULL,
    proved_aal2 BIGINT NOT NULL,
    proved_pr   BIGINT NOT NULL,
    held        BIGINT NOT NULL,
    amr         TEXT   NOT NULL
);
CREATE INDEX session_token_session ON session_token (practice, session);
CREATE INDEX session_token_dies ON session_token (practice, dies_at);

-- A sign-in in progress: what was proved so far, where to go
-- afterwards. A row is taken out exactly once.
CREATE TABLE flow (
    hash        BYTEA  NOT NULL PRIMARY KEY,
    practice    TEXT   NOT NULL,
    person      TEXT   NOT NULL,
    proved_aal1 BIGINT NOT NULL,
    proved_aal2 BIGINT NOT NULL,
    proved_pr   BIGINT NOT NULL,
    held        BIGINT NOT NULL,
    amr         TEXT   NOT NULL,
    return_path TEXT   NOT NULL,
    created     BIGINT NOT NULL,
    expires     BIGINT NOT NULL
);
CREATE INDEX flow_person ON flow (practice, person, created);
CREATE INDEX flow_expires ON flow (practice, expires);

-- +goose Down
DROP TABLE flow;
DROP TABLE session_token;
DROP TABLE session;
