-- +goose Up
-- Files in messages. The bytes lie in the data directory under the id; a row is written when they are safe there.
-- instance_id is empty for a file that was uploaded for no instance in particular; lineage is that of the key that
-- brought it, empty for one that a contact sent.
CREATE TABLE media (
    workspace_id TEXT NOT NULL REFERENCES workspaces (id),
    environment TEXT NOT NULL CHECK (environment IN ('live', 'test')),
    id TEXT NOT NULL,
    instance_id TEXT NOT NULL,
    lineage TEXT NOT NULL,
    mime TEXT NOT NULL,
    filename TEXT NOT NULL,
    size BIGINT NOT NULL,
    sha256 TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (workspace_id, environment, id)
)
WITHOUT ROWID -- only: sqlite
;

-- What may still happen to a message when it has been sent or received. Neither is written when it is accepted.
ALTER TABLE messages ADD COLUMN edited_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE messages ADD COLUMN revoked_at BIGINT NOT NULL DEFAULT 0;

-- Calls that were told, once each; what was told stands in events.
CREATE TABLE calls (
    instance_id TEXT NOT NULL,
    call_id TEXT NOT NULL,
    workspace_id TEXT NOT NULL,
    environment TEXT NOT NULL,
    received_at BIGINT NOT NULL,
    PRIMARY KEY (instance_id, call_id)
)
WITHOUT ROWID -- only: sqlite
;

-- +goose Down
DROP TABLE calls;
ALTER TABLE messages DROP COLUMN revoked_at;
ALTER TABLE messages DROP COLUMN edited_at;
DROP TABLE media;
