-- +goose Up
-- One-time pages on which the owner of a phone links it to an instance. Neither the token nor the PIN is stored: both
-- hashes are keyed so that this table alone does not tell the PIN.
CREATE TABLE pairing_links (
    token_hash TEXT NOT NULL PRIMARY KEY,
    workspace_id TEXT NOT NULL,
    environment TEXT NOT NULL,
    instance_id TEXT NOT NULL,
    salt TEXT NOT NULL,
    pin_hash TEXT NOT NULL, -- empty: no PIN
    wrong_pins BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    used_at BIGINT NOT NULL,
    FOREIGN KEY (workspace_id, environment, instance_id) REFERENCES instances (workspace_id, environment, id)
)
WITHOUT ROWID -- only: sqlite
;
CREATE INDEX pairing_links_instance ON pairing_links (instance_id);
CREATE INDEX pairing_links_age ON pairing_links (expires_at);

-- +goose Down
DROP TABLE pairing_links;
