-- +goose Up
-- One row a bulk. Only committers write it, so its counts are always those of its rows. template and options are JSON.
CREATE TABLE bulks (
    workspace_id TEXT NOT NULL REFERENCES workspaces (id),
    environment TEXT NOT NULL CHECK (environment IN ('live', 'test')),
    id TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    instances TEXT NOT NULL, -- the ids of bulk_instances, parted by spaces, so that a row says all
    key_id TEXT NOT NULL,
    lineage TEXT NOT NULL,
    state TEXT NOT NULL,
    kind TEXT NOT NULL,
    template TEXT NOT NULL,
    metadata TEXT NOT NULL,
    options TEXT NOT NULL,
    total BIGINT NOT NULL,
    queued BIGINT NOT NULL,
    sent BIGINT NOT NULL,
    delivered BIGINT NOT NULL,
    read BIGINT NOT NULL,
    failed BIGINT NOT NULL,
    skipped BIGINT NOT NULL,
    canceled BIGINT NOT NULL,
    pending BIGINT NOT NULL, -- of queued, those that are no message yet
    next_row BIGINT NOT NULL, -- the first row that has not had its first turn
    created_at BIGINT NOT NULL,
    send_at BIGINT NOT NULL,
    started_at BIGINT NOT NULL,
    paused_at BIGINT NOT NULL,
    ended_at BIGINT NOT NULL,
    PRIMARY KEY (workspace_id, environment, id)
);
CREATE INDEX bulks_open ON bulks (state) WHERE state IN ('scheduled', 'running', 'paused', 'canceled');

CREATE TABLE bulk_instances (
    workspace_id TEXT NOT NULL,
    environment TEXT NOT NULL,
    bulk_id TEXT NOT NULL,
    instance_id TEXT NOT NULL,
    PRIMARY KEY (workspace_id, environment, bulk_id, instance_id),
    FOREIGN KEY (workspace_id, environment, bulk_id) REFERENCES bulks (workspace_id, environment, id),
    FOREIGN KEY (workspace_id, environment, instance_id) REFERENCES instances (workspace_id, environment, id)
);

-- The rows of a bulk as they were accepted, many in each. They are written before the bulk's own row, in transactions of their
-- own so that nobody waits for them; chunks without a bulk are those of a process that died, and are swept.
CREATE TABLE bulk_chunks (
    bulk_id TEXT NOT NULL,
    first_row BIGINT NOT NULL, -- rows count from 1
    row_count BIGINT NOT NULL,
    data BLOB NOT NULL, -- only: sqlite
    data BYTEA NOT NULL, -- only: postgres
    PRIMARY KEY (bulk_id, first_row)
)
WITHOUT ROWID -- only: sqlite
;

-- What became of a row at its turn: a message, or the reason for which it was skipped. Rows that were skipped when the bulk was
-- accepted, or have not had their turn, have none here. No foreign keys, as in the other hot tables.
CREATE TABLE bulk_recipients (
    workspace_id TEXT NOT NULL,
    environment TEXT NOT NULL,
    bulk_id TEXT NOT NULL,
    row_number BIGINT NOT NULL,
    person TEXT NOT NULL, -- the recipient, however the number is written: see messaging.Person
    instance_id TEXT NOT NULL,
    message_id TEXT NOT NULL, -- empty: skipped
    reason TEXT NOT NULL, -- of a skipped one
    at BIGINT NOT NULL,
    again BOOLEAN NOT NULL DEFAULT FALSE, -- it failed, and waits for another turn
    PRIMARY KEY (bulk_id, row_number)
)
WITHOUT ROWID -- only: sqlite
;
-- Who had what, for dedupe_window and frequency_cap. A person has few rows, whatever the number of instances of a bulk.
CREATE INDEX bulk_recipients_person ON bulk_recipients (workspace_id, environment, person, at) WHERE message_id <> '';
CREATE INDEX bulk_recipients_again ON bulk_recipients (bulk_id, row_number) WHERE again;

CREATE INDEX messages_bulk ON messages (bulk_id, id) WHERE bulk_id <> '';

-- instance_id is empty for the whole workspace.
CREATE TABLE opt_outs (
    workspace_id TEXT NOT NULL REFERENCES workspaces (id),
    environment TEXT NOT NULL CHECK (environment IN ('live', 'test')),
    instance_id TEXT NOT NULL,
    person TEXT NOT NULL,
    peer_input TEXT NOT NULL,
    peer_wa_id TEXT NOT NULL,
    keyword TEXT NOT NULL,
    key_id TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (workspace_id, environment, person, instance_id)
);
CREATE INDEX opt_outs_age ON opt_outs (created_at); -- without the tenancy, so that nobody looks up a person by it

-- +goose Down
DROP TABLE opt_outs;
DROP INDEX messages_bulk;
DROP TABLE bulk_recipients;
DROP TABLE bulk_chunks;
DROP TABLE bulk_instances;
DROP TABLE bulks;
