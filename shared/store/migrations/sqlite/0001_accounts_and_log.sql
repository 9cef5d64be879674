-- What the data was made with; checked at every start.
CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

-- AUTOINCREMENT: the id of a deleted account is never given to another one, so what the message
-- log still holds of it can be told apart.
CREATE TABLE account (
    id             INTEGER PRIMARY KEY AUTOINCREMENT,
    jid            TEXT NOT NULL UNIQUE,
    domain         TEXT NOT NULL,
    disabled       INTEGER NOT NULL DEFAULT 0,
    created_ms     INTEGER NOT NULL,
    roster_version INTEGER NOT NULL DEFAULT 0,
    -- Differences to versions below this one are no longer known.
    roster_floor   INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX account_by_domain ON account (domain, jid);

CREATE TABLE credential (
    account    INTEGER NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    hash       TEXT NOT NULL,
    salt       BLOB NOT NULL,
    iterations INTEGER NOT NULL,
    stored_key BLOB NOT NULL,
    server_key BLOB NOT NULL,
    PRIMARY KEY (account, hash)
) WITHOUT ROWID;

CREATE TABLE last_activity (
    account INTEGER PRIMARY KEY REFERENCES account (id) ON DELETE CASCADE,
    at_ms   INTEGER NOT NULL,
    status  TEXT
);

-- groups: joined by U+001F, which XML cannot carry (XML 1.0 §2.2).
CREATE TABLE roster_item (
    account      INTEGER NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    jid          TEXT NOT NULL,
    name         TEXT,
    subscription INTEGER NOT NULL,
    ask          INTEGER NOT NULL,
    approved     INTEGER NOT NULL,
    in_roster    INTEGER NOT NULL,
    pending_in   BLOB,
    groups       TEXT,
    version      INTEGER NOT NULL,
    PRIMARY KEY (account, jid)
) WITHOUT ROWID;

CREATE TABLE roster_tombstone (
    account INTEGER NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    jid     TEXT NOT NULL,
    version INTEGER NOT NULL,
    PRIMARY KEY (account, jid)
) WITHOUT ROWID;

CREATE TABLE private_data (
    account INTEGER NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    ns      TEXT NOT NULL,
    name    TEXT NOT NULL,
    data    BLOB NOT NULL,
    PRIMARY KEY (account, ns, name)
) WITHOUT ROWID;

CREATE TABLE blocked (
    account INTEGER NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    jid     TEXT NOT NULL,
    PRIMARY KEY (account, jid)
) WITHOUT ROWID;

-- The message log, but for the journal, which is files. Its tables do not refer to account: an append must not pay for the check, and
-- deleting an account deletes its rows here by name.

-- One run of one process that writes the log. A fenced one can settle nothing any more.
CREATE TABLE writer (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    fenced  INTEGER NOT NULL DEFAULT 0,
    -- The journal is not needed up to this commit.
    settled INTEGER NOT NULL DEFAULT 0,
    -- No entry that was settled has a higher id.
    last_id INTEGER NOT NULL DEFAULT 0
);

-- Settled entries of one account, many in a row. seq grows with last_id.
CREATE TABLE log_chunk (
    seq      INTEGER PRIMARY KEY,
    account  INTEGER NOT NULL,
    first_id INTEGER NOT NULL,
    last_id  INTEGER NOT NULL,
    data     BLOB NOT NULL
);
CREATE UNIQUE INDEX log_chunk_by_account ON log_chunk (account, first_id);

-- Which chunks have messages with a peer. peer: the stable hash of its bare JID.
CREATE TABLE log_chunk_peer (
    account  INTEGER NOT NULL,
    peer     INTEGER NOT NULL,
    first_id INTEGER NOT NULL,
    PRIMARY KEY (account, peer, first_id)
) WITHOUT ROWID;

-- Settled entries that no session has taken yet, and the chunk they are in.
CREATE TABLE log_pending (
    account  INTEGER NOT NULL,
    id       INTEGER NOT NULL,
    first_id INTEGER NOT NULL,
    PRIMARY KEY (account, id)
) WITHOUT ROWID;
