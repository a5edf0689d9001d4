-- +goose Up
-- Receipts name a message by its WhatsApp id, and a reach-out lock asks who has written before. Only live instances get receipts
-- from outside; the test world, which is the larger one, pays for neither index.
CREATE INDEX messages_outbound ON messages (instance_id, wa_message_id) WHERE direction = 'outbound' AND environment = 'live';
CREATE INDEX messages_peer ON messages (instance_id, peer_wa_id) WHERE direction = 'inbound' AND environment = 'live';

-- +goose Down
DROP INDEX messages_peer;
DROP INDEX messages_outbound;
