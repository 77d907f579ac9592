-- The people of one practice and what they prove themselves with.
-- Times are UTC unix microseconds, 0 = not set. Every row names its practice,
-- and readers compare: a row that strayed here from another practice's
-- database is never taken for somebody of this one.

-- +goose Up
CREATE TABLE person (
    practice    TEXT   NOT NULL,
    id          TEXT   NOT NULL, -- UUIDv7, never used again
    email       TEXT   NOT NULL, -- canonical: account.CanonicalEmail
    name        TEXT   NOT NULL,
    disabled_at BIGINT NOT NULL,
    grace_until BIGINT NOT NULL,
    created_at  BIGINT NOT NULL,
    changed_at  BIGINT NOT NULL,
    PRIMARY KEY (id)
);
CREATE UNIQUE INDEX person_email ON person (email);

CREATE TABLE person_role (
    practice TEXT NOT NULL,
    person   TEXT NOT NULL REFERENCES person (id) ON DELETE CASCADE,
    role     TEXT NOT NULL,
    PRIMARY KEY (person, role)
);
CREATE INDEX person_role_role ON person_role (role);

CREATE TABLE password (
    practice   TEXT   NOT NULL,
    person     TEXT   NOT NULL REFERENCES person (id) ON DELETE CASCADE,
    phc        TEXT   NOT NULL, -- argon2id over the peppered password
    cost       TEXT   NOT NULL, -- its parameters, counted to choose those of a decoy
    version    TEXT   NOT NULL, -- another one for every password, kept when its hash is renewed
    changed_at BIGINT NOT NULL,
    PRIMARY KEY (person)
);
CREATE INDEX password_cost ON password (cost);

-- The active authenticator app. last_step only ever rises: that is what makes
-- a code work once (RFC 6238 section 5.2).
CREATE TABLE totp (
    practice     TEXT   NOT NULL,
    person       TEXT   NOT NULL REFERENCES person (id) ON DELETE CASCADE,
    enrolment    TEXT   NOT NULL,
    secret       BYTEA  NOT NULL, -- sealed: vault
    last_step    BIGINT NOT NULL,
    confirmed_at BIGINT NOT NULL,
    PRIMARY KEY (person)
);

-- An authenticator app that was shown a secret and has not proved it yet.
CREATE TABLE totp_pending (
    practice   TEXT   NOT NULL,
    person     TEXT   NOT NULL REFERENCES person (id) ON DELETE CASCADE,
    enrolment  TEXT   NOT NULL,
    ceremony   TEXT   NOT NULL, -- SHA-256 of the browser's sign-in that may see it again
    secret     BYTEA  NOT NULL, -- sealed: vault
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (person)
);

-- Browsers that somebody has signed in from. One browser, shared by several
-- people, has one token and a row for each of them.
CREATE TABLE known_device (
    practice   TEXT   NOT NULL,
    token_hash BYTEA  NOT NULL, -- SHA-256 of 128 random bits
    person     TEXT   NOT NULL REFERENCES person (id) ON DELETE CASCADE,
    created_at BIGINT NOT NULL,
    last_used  BIGINT NOT NULL,
    PRIMARY KEY (token_hash, person)
);
CREATE INDEX known_device_person ON known_device (person, last_used);

-- +goose Down
DROP TABLE known_device;
DROP TABLE totp_pending;
DROP TABLE totp;
DROP TABLE password;
DROP TABLE person_role;
DROP TABLE person;
