-- +goose Up
-- A lane reads its rows by this key, and nobody reads one by its position alone: one index in place of two, and on SQLite one tree
-- for the table and both. Places of different lanes may be the same; one lane's are not.
LOCK TABLE outbox IN ACCESS EXCLUSIVE MODE; -- only: postgres
CREATE TABLE outbox_by_lane (
    instance_id TEXT NOT NULL,
    priority SMALLINT NOT NULL,
    position BIGINT NOT NULL,
    workspace_id TEXT NOT NULL,
    environment TEXT NOT NULL,
    message_id TEXT NOT NULL,
    due_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    attempts BIGINT NOT NULL DEFAULT 0,
    parked BOOLEAN NOT NULL DEFAULT FALSE,
    PRIMARY KEY (instance_id, priority, position)
)
WITHOUT ROWID -- only: sqlite
;
INSERT INTO outbox_by_lane (instance_id, priority, position, workspace_id, environment, message_id, due_at, expires_at, attempts, parked)
    SELECT instance_id, priority, position, workspace_id, environment, message_id, due_at, expires_at, attempts, parked FROM outbox
    ORDER BY instance_id, priority, position;
DROP TABLE outbox;
ALTER TABLE outbox_by_lane RENAME TO outbox;

-- +goose Down
LOCK TABLE outbox IN ACCESS EXCLUSIVE MODE; -- only: postgres
CREATE TABLE outbox_by_place (
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
INSERT INTO outbox_by_place (instance_id, priority, position, workspace_id, environment, message_id, due_at, expires_at, attempts, parked)
    SELECT instance_id, priority, position, workspace_id, environment, message_id, due_at, expires_at, attempts, parked FROM outbox;
DROP TABLE outbox;
ALTER TABLE outbox_by_place RENAME TO outbox;
CREATE INDEX outbox_lane ON outbox (instance_id, priority, position);
