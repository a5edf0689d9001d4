-- +goose Up
-- What the numbers of instances with a pace have sent within the last day, so that a restart does not forget it. A row
-- counts the messages of one step of time (its number since 1970); slot is step modulo the rows that a number may have, so that
-- old rows are written over and never need to be swept. Written in the transaction that records the messages as sent.
CREATE TABLE pace_sends (
    workspace_id TEXT NOT NULL,
    environment TEXT NOT NULL,
    instance_id TEXT NOT NULL,
    phone TEXT NOT NULL,
    slot BIGINT NOT NULL,
    step BIGINT NOT NULL,
    messages BIGINT NOT NULL,
    last_at BIGINT NOT NULL, -- of the latest of them
    PRIMARY KEY (workspace_id, environment, instance_id, phone, slot)
)
WITHOUT ROWID -- only: sqlite
WITH (fillfactor = 80) -- only: postgres
;

-- When a number first sent through an instance: its warm-up counts from here.
CREATE TABLE pace_numbers (
    workspace_id TEXT NOT NULL,
    environment TEXT NOT NULL,
    instance_id TEXT NOT NULL,
    phone TEXT NOT NULL,
    began_at BIGINT NOT NULL,
    PRIMARY KEY (workspace_id, environment, instance_id, phone)
)
WITHOUT ROWID -- only: sqlite
;

-- +goose Down
DROP TABLE pace_numbers;
DROP TABLE pace_sends;
