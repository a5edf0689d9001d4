-- +goose Up
-- One row a run of a script in the sandbox. report is what came of it, as JSON; it is written when the run ends, and stands last so
-- that nobody reads it who looks for the others.
CREATE TABLE sandbox_runs (
    workspace_id TEXT NOT NULL REFERENCES workspaces (id),
    environment TEXT NOT NULL CHECK (environment = 'test'),
    id TEXT NOT NULL UNIQUE,
    instance_id TEXT NOT NULL,
    own_instance BOOLEAN NOT NULL, -- made for this run, and deleted with it
    lineage TEXT NOT NULL,
    name TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('running', 'ended', 'aborted')),
    passed BOOLEAN NOT NULL,
    started_at BIGINT NOT NULL, -- by the machine's time, as ended_at; what the report tells is by the run's clock
    ended_at BIGINT NOT NULL,
    first_sequence BIGINT NOT NULL, -- of its workspace's events, the last one before it; and the last one when it ended
    last_sequence BIGINT NOT NULL,
    report TEXT NOT NULL,
    PRIMARY KEY (workspace_id, environment, id)
);
CREATE INDEX sandbox_runs_open ON sandbox_runs (state) WHERE state = 'running';
CREATE INDEX sandbox_runs_age ON sandbox_runs (ended_at) WHERE state <> 'running';

-- How many requests of a workspace have drawn their ids from a seed.
CREATE TABLE sandbox_seeds (
    workspace_id TEXT NOT NULL REFERENCES workspaces (id),
    seed TEXT NOT NULL,
    requests BIGINT NOT NULL,
    PRIMARY KEY (workspace_id, seed)
)
WITHOUT ROWID -- only: sqlite
;

-- How far a count of the test worlds had got at a time of the machine's. Events and carriages tell only what the clock of their
-- world said, which may stand anywhere; this is how retention knows their age. topic is a workspace for its events, or 'carriages'.
CREATE TABLE sandbox_marks (
    topic TEXT NOT NULL,
    at BIGINT NOT NULL,
    value BIGINT NOT NULL,
    PRIMARY KEY (topic, at)
)
WITHOUT ROWID -- only: sqlite
;

-- Calls to test instances are kept for some days only.
CREATE INDEX calls_test ON calls (workspace_id, received_at) WHERE environment = 'test';

-- +goose Down
DROP INDEX calls_test;
DROP TABLE sandbox_marks;
DROP TABLE sandbox_seeds;
DROP INDEX sandbox_runs_age;
DROP INDEX sandbox_runs_open;
DROP TABLE sandbox_runs;
