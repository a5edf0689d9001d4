-- +goose Up
-- Times are microseconds since 1970 in UTC, drawn by Go; 0 stands for "none" where a column is NOT NULL.
-- A line that ends in "-- only: postgres" or "-- only: sqlite" is left out for the other engine.

-- One row a topic; the number grows with every change of it, so that other processes notice.
CREATE TABLE epochs (
    topic TEXT NOT NULL PRIMARY KEY,
    value BIGINT NOT NULL
);
INSERT INTO epochs (topic, value) VALUES ('keys', 1), ('instances', 1);

-- Facts of the installation itself: the fingerprint of the secret key, the first-run mark.
CREATE TABLE installation (
    name TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
);

CREATE TABLE workspaces (
    id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    created_at BIGINT NOT NULL
);

CREATE TABLE instances (
    workspace_id TEXT NOT NULL REFERENCES workspaces (id),
    environment TEXT NOT NULL CHECK (environment IN ('live', 'test')),
    id TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    driver TEXT NOT NULL,
    desired TEXT NOT NULL,
    state TEXT NOT NULL,
    state_reason TEXT NOT NULL,
    state_since BIGINT NOT NULL,
    state_until BIGINT NOT NULL,
    phone TEXT NOT NULL,
    push_name TEXT NOT NULL,
    metadata TEXT NOT NULL,
    settings TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    deleted_at BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (workspace_id, environment, id)
);
CREATE UNIQUE INDEX instances_name ON instances (workspace_id, environment, name) WHERE deleted_at = 0;

CREATE TABLE api_keys (
    workspace_id TEXT NOT NULL REFERENCES workspaces (id),
    environment TEXT NOT NULL CHECK (environment IN ('live', 'test')),
    id TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    hash TEXT NOT NULL,
    tag TEXT NOT NULL,
    last4 TEXT NOT NULL,
    scopes TEXT NOT NULL,
    all_instances BOOLEAN NOT NULL,
    rate_per_minute BIGINT NOT NULL,
    rate_burst BIGINT NOT NULL,
    messages_per_minute BIGINT NOT NULL,
    lineage TEXT NOT NULL,
    successor_id TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    revoked_at BIGINT NOT NULL,
    last_used_at BIGINT NOT NULL,
    PRIMARY KEY (workspace_id, environment, id)
);

-- The instances that a locked key opens, by id: a new instance under an old name is not among them.
CREATE TABLE api_key_instances (
    workspace_id TEXT NOT NULL,
    environment TEXT NOT NULL,
    key_id TEXT NOT NULL,
    instance_id TEXT NOT NULL,
    PRIMARY KEY (workspace_id, environment, key_id, instance_id),
    FOREIGN KEY (workspace_id, environment, key_id) REFERENCES api_keys (workspace_id, environment, id),
    FOREIGN KEY (workspace_id, environment, instance_id) REFERENCES instances (workspace_id, environment, id)
);
CREATE INDEX api_key_instances_instance ON api_key_instances (workspace_id, environment, instance_id);

-- The tables of the hot path (messages, outbox, events, sandbox_carriages) carry the tenancy in their keys but no foreign
-- keys: a check for every row costs PostgreSQL more than the insert. Their rows are only made from an instance's own facts.

-- Columns from status on change during a message's life; no index names one of them, so that PostgreSQL can update in place.
CREATE TABLE messages (
    workspace_id TEXT NOT NULL,
    environment TEXT NOT NULL,
    id TEXT NOT NULL,
    instance_id TEXT NOT NULL,
    direction TEXT NOT NULL,
    peer_input TEXT NOT NULL,
    peer_wa_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    content TEXT NOT NULL,
    metadata TEXT NOT NULL,
    priority SMALLINT NOT NULL,
    position BIGINT NOT NULL, -- its place in the outbox; 0 for inbound
    wa_message_id TEXT NOT NULL,
    key_id TEXT NOT NULL,
    lineage TEXT NOT NULL,
    bulk_id TEXT NOT NULL,
    sandbox TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    send_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    status TEXT NOT NULL,
    error_code TEXT NOT NULL DEFAULT '',
    error_message TEXT NOT NULL DEFAULT '',
    attempts BIGINT NOT NULL DEFAULT 0,
    sent_at BIGINT NOT NULL DEFAULT 0,
    delivered_at BIGINT NOT NULL DEFAULT 0,
    read_at BIGINT NOT NULL DEFAULT 0,
    played_at BIGINT NOT NULL DEFAULT 0,
    failed_at BIGINT NOT NULL DEFAULT 0,
    events TEXT NOT NULL, -- the sequences of its events, so that these need no index by message
    PRIMARY KEY (workspace_id, environment, id)
)
WITHOUT ROWID -- only: sqlite
WITH (fillfactor = 80) -- only: postgres
;
CREATE INDEX messages_instance ON messages (instance_id, id);
CREATE UNIQUE INDEX messages_inbound ON messages (instance_id, wa_message_id) WHERE direction = 'inbound';

-- What the network has not taken yet. Narrow, and a row goes when its message has been sent or has ended.
-- position is the order of the commits; due_at 0 means at once; a parked row waits for another one to the same recipient.
CREATE TABLE outbox (
    position INTEGER PRIMARY KEY, -- only: sqlite
    position BIGINT PRIMARY KEY, -- only: postgres
    instance_id TEXT NOT NULL,
    priority SMALLINT NOT NULL,
    workspace_id TEXT NOT NULL,
    environment TEXT NOT NULL,
    message_id TEXT NOT NULL,
    due_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    attempts BIGINT NOT NULL DEFAULT 0,
    parked BOOLEAN NOT NULL DEFAULT FALSE
);
CREATE INDEX outbox_lane ON outbox (instance_id, priority, position);

-- The last sequence handed out in each tenancy. Its row lock orders the writers of events on several nodes.
CREATE TABLE event_heads (
    workspace_id TEXT NOT NULL,
    environment TEXT NOT NULL,
    sequence BIGINT NOT NULL,
    PRIMARY KEY (workspace_id, environment)
);

-- data holds what this event changed; what never changes is read from messages.
CREATE TABLE events (
    workspace_id TEXT NOT NULL,
    environment TEXT NOT NULL,
    sequence BIGINT NOT NULL,
    id TEXT NOT NULL,
    type TEXT NOT NULL,
    instance_id TEXT NOT NULL,
    message_id TEXT NOT NULL,
    occurred_at BIGINT NOT NULL,
    data TEXT NOT NULL,
    PRIMARY KEY (workspace_id, environment, sequence)
)
WITHOUT ROWID -- only: sqlite
;

-- Answers kept for Idempotency-Key. scope is a SHA-256 of tenancy, lineage, method, resolved path and key.
CREATE TABLE idempotency_keys (
    workspace_id TEXT NOT NULL,
    environment TEXT NOT NULL,
    scope TEXT NOT NULL,
    request_hash TEXT NOT NULL,
    status BIGINT NOT NULL,
    body TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (workspace_id, environment, scope)
);
CREATE INDEX idempotency_keys_age ON idempotency_keys (created_at);

-- Which key made which request, with what result. Rows of callers without a valid key have an empty workspace.
CREATE TABLE api_logs (
    id INTEGER PRIMARY KEY AUTOINCREMENT, -- only: sqlite
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, -- only: postgres
    workspace_id TEXT NOT NULL,
    environment TEXT NOT NULL,
    at BIGINT NOT NULL,
    request_id TEXT NOT NULL,
    key_id TEXT NOT NULL,
    lineage TEXT NOT NULL,
    method TEXT NOT NULL,
    route TEXT NOT NULL,
    status BIGINT NOT NULL,
    error_code TEXT NOT NULL,
    duration_us BIGINT NOT NULL,
    instance_id TEXT NOT NULL,
    ip TEXT NOT NULL,
    user_agent TEXT NOT NULL
);

-- What the simulated network carried: one row for each WhatsApp id of an instance.
CREATE TABLE sandbox_carriages (
    position INTEGER PRIMARY KEY AUTOINCREMENT, -- only: sqlite
    position BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, -- only: postgres
    workspace_id TEXT NOT NULL,
    environment TEXT NOT NULL CHECK (environment = 'test'),
    instance_id TEXT NOT NULL,
    wa_message_id TEXT NOT NULL,
    message_id TEXT NOT NULL,
    peer_input TEXT NOT NULL,
    peer_wa_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    content TEXT NOT NULL,
    sandbox TEXT NOT NULL,
    carried_at BIGINT NOT NULL,
    UNIQUE (instance_id, wa_message_id)
);

-- Carriages whose receipts are not all recorded yet; what a restart must take up again.
CREATE TABLE sandbox_owed (
    id TEXT NOT NULL PRIMARY KEY, -- instance_id/wa_message_id: one column, so that many rows go in one statement
    instance_id TEXT NOT NULL,
    wa_message_id TEXT NOT NULL
)
WITHOUT ROWID -- only: sqlite
;

-- The clock of a workspace's test world; no row means real. offset_us is added to the machine's time unless frozen.
CREATE TABLE sandbox_clocks (
    workspace_id TEXT NOT NULL PRIMARY KEY REFERENCES workspaces (id),
    mode TEXT NOT NULL CHECK (mode IN ('real', 'instant', 'frozen')),
    offset_us BIGINT NOT NULL,
    frozen_at BIGINT NOT NULL
);

-- +goose Down
DROP TABLE sandbox_clocks;
DROP TABLE sandbox_owed;
DROP TABLE sandbox_carriages;
DROP TABLE api_logs;
DROP TABLE idempotency_keys;
DROP TABLE events;
DROP TABLE event_heads;
DROP TABLE outbox;
DROP TABLE messages;
DROP TABLE api_key_instances;
DROP TABLE api_keys;
DROP TABLE instances;
DROP TABLE workspaces;
DROP TABLE installation;
DROP TABLE epochs;
