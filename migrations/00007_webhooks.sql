-- +goose Up
INSERT INTO epochs (topic, value) VALUES ('webhooks', 1);

CREATE TABLE webhooks (
    workspace_id TEXT NOT NULL REFERENCES workspaces (id),
    environment TEXT NOT NULL CHECK (environment IN ('live', 'test')),
    id TEXT NOT NULL UNIQUE,
    url TEXT NOT NULL,
    description TEXT NOT NULL,
    events TEXT NOT NULL, -- types and patterns, parted by spaces
    all_instances BOOLEAN NOT NULL,
    chats TEXT NOT NULL,
    ordered BOOLEAN NOT NULL,
    enabled BOOLEAN NOT NULL,
    max_attempts BIGINT NOT NULL,
    schedule TEXT NOT NULL, -- microseconds, parted by spaces; empty: the usual one
    disabled_reason TEXT NOT NULL,
    disabled_at BIGINT NOT NULL,
    failing_since BIGINT NOT NULL,
    secret TEXT NOT NULL, -- sealed, as is the one before it
    previous_secret TEXT NOT NULL,
    previous_until BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    deleted_at BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (workspace_id, environment, id)
);

-- The instances that a narrowed endpoint hears of.
CREATE TABLE webhook_instances (
    workspace_id TEXT NOT NULL,
    environment TEXT NOT NULL,
    webhook_id TEXT NOT NULL,
    instance_id TEXT NOT NULL,
    PRIMARY KEY (workspace_id, environment, webhook_id, instance_id),
    FOREIGN KEY (workspace_id, environment, webhook_id) REFERENCES webhooks (workspace_id, environment, id),
    FOREIGN KEY (workspace_id, environment, instance_id) REFERENCES instances (workspace_id, environment, id)
);

-- One row for each event and endpoint that is told of it, written with the event. No foreign keys, as in the other hot tables.
CREATE TABLE webhook_deliveries (
    workspace_id TEXT NOT NULL,
    environment TEXT NOT NULL,
    webhook_id TEXT NOT NULL,
    id TEXT NOT NULL,
    sequence BIGINT NOT NULL, -- of the event
    event_id TEXT NOT NULL,
    event_type TEXT NOT NULL,
    instance_id TEXT NOT NULL,
    direct BOOLEAN NOT NULL DEFAULT FALSE, -- asked for: a test or a replay
    node TEXT NOT NULL, -- whose work it is; empty: whoever takes it
    created_at BIGINT NOT NULL,
    state TEXT NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'delivered', 'failed')),
    due_at BIGINT NOT NULL,
    attempts BIGINT NOT NULL DEFAULT 0,
    attempted_at BIGINT NOT NULL DEFAULT 0,
    status_code BIGINT NOT NULL DEFAULT 0,
    duration_us BIGINT NOT NULL DEFAULT 0,
    error_class TEXT NOT NULL DEFAULT '',
    answer TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (webhook_id, id)
)
WITHOUT ROWID -- only: sqlite
;
CREATE INDEX webhook_deliveries_pending ON webhook_deliveries (node, webhook_id, due_at, id) WHERE state = 'pending';
-- What became of an event's deliveries to an endpoint; and those that failed, of which there are few.
CREATE INDEX webhook_deliveries_event ON webhook_deliveries (webhook_id, sequence);
CREATE INDEX webhook_deliveries_failed ON webhook_deliveries (webhook_id, created_at, id) WHERE state = 'failed';

-- The processes that deliver, and until when their claims hold unless they renew them.
CREATE TABLE nodes (
    id TEXT NOT NULL PRIMARY KEY,
    until_at BIGINT NOT NULL
);

-- How far a sink that reads the journal in order has got in each world.
CREATE TABLE sink_cursors (
    sink TEXT NOT NULL,
    workspace_id TEXT NOT NULL,
    environment TEXT NOT NULL,
    sequence BIGINT NOT NULL,
    PRIMARY KEY (sink, workspace_id, environment)
);

-- +goose Down
DROP TABLE sink_cursors;
DROP TABLE nodes;
DROP TABLE webhook_deliveries;
DROP TABLE webhook_instances;
DROP TABLE webhooks;
DELETE FROM epochs WHERE topic = 'webhooks';
