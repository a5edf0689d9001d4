-- +goose Up
-- linked_id is what the driver knows the linked session by; '' while no phone is linked. phone outlives it.
ALTER TABLE instances ADD COLUMN linked_id TEXT NOT NULL DEFAULT '';
-- relinked: another phone was linked than before, and what waited for that one has not been failed yet.
ALTER TABLE instances ADD COLUMN relinked BOOLEAN NOT NULL DEFAULT FALSE;
-- relinked_place: the last place in the outbox that was taken when that phone was linked.
ALTER TABLE instances ADD COLUMN relinked_place BIGINT NOT NULL DEFAULT 0;
-- What the owner asked for and has not been done, when it was last asked for, and the phone to pair by a code.
ALTER TABLE instances ADD COLUMN ask TEXT NOT NULL DEFAULT '';
ALTER TABLE instances ADD COLUMN asked_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE instances ADD COLUMN pair_phone TEXT NOT NULL DEFAULT '';
UPDATE instances SET linked_id = phone WHERE environment = 'test' AND state <> 'logged_out';

-- What an instance that is being paired shows its owner; the row goes when the state changes.
CREATE TABLE pairings (
    workspace_id TEXT NOT NULL,
    environment TEXT NOT NULL,
    instance_id TEXT NOT NULL,
    qr TEXT NOT NULL,
    code TEXT NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (workspace_id, environment, instance_id),
    FOREIGN KEY (workspace_id, environment, instance_id) REFERENCES instances (workspace_id, environment, id)
)
WITHOUT ROWID -- only: sqlite
;

-- +goose Down
DROP TABLE pairings;
ALTER TABLE instances DROP COLUMN pair_phone;
ALTER TABLE instances DROP COLUMN asked_at;
ALTER TABLE instances DROP COLUMN ask;
ALTER TABLE instances DROP COLUMN relinked_place;
ALTER TABLE instances DROP COLUMN relinked;
ALTER TABLE instances DROP COLUMN linked_id;
