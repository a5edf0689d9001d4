-- +goose Up
-- A message is written anew two or three times in its life, nearly always with its neighbours on the page. With room for all of
-- them there, PostgreSQL need not touch its indexes (99 % of the updates in place of 43 %).
ALTER TABLE messages SET (fillfactor = 45); -- only: postgres

-- +goose Down
ALTER TABLE messages SET (fillfactor = 80); -- only: postgres
