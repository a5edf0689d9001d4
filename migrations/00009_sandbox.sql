-- +goose Up
-- One row a run of a script in the sandbox. report is what came of it, as JSON; it is written when the run ends.
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
    report TEXT NOT NULL,
    started_at BIGINT NOT NULL, -- by the machine's time, as ended_at; what the report tells is by the run's clock
    ended_at BIGINT NOT NULL,
    PRIMARY KEY (workspace_id, environment, id)
);
CREATE INDEX sandbox_runs_open ON sandbox_runs (state) WHERE state = 'running';

-- How many requests of a workspace have drawn their ids from a seed.
CREATE TABLE sandbox_seeds (
    workspace_id TEXT NOT NULL REFERENCES workspaces (id),
    seed TEXT NOT NULL,
    requests BIGINT NOT NULL,
    PRIMARY KEY (workspace_id, seed)
)
WITHOUT ROWID -- only: sqlite
;

-- +goose Down
DROP TABLE sandbox_seeds;
DROP INDEX sandbox_runs_open;
DROP TABLE sandbox_runs;
