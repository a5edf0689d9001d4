package bulk

import (
	"fmt"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// StoredRow is a row as a chunk holds it. Names stay: chunks outlive versions.
type StoredRow struct {
	Number    int64          `json:"n"`
	Input     string         `json:"i"`           // the recipient as it was written
	WAID      string         `json:"w,omitzero"`  // empty: it cannot be an address
	Variables jsontext.Value `json:"v,omitempty"` // an object of strings; empty: none
	Reason    string         `json:"r,omitzero"`  // why it was skipped when the bulk was accepted; empty: it was not
	Why       string         `json:"y,omitzero"`  // the same in a sentence
}

// encodeRows makes a chunk of rows that follow each other.
func encodeRows(rows []StoredRow) (Chunk, error) {
	data, err := json.Marshal(rows)
	if err != nil {
		return Chunk{}, fmt.Errorf("encode rows: %w", err)
	}
	return Chunk{First: rows[0].Number, Rows: len(rows), Data: data}, nil
}

// Decode returns the rows of a chunk.
func (c *Chunk) Decode() (rows []StoredRow, err error) {
	if err := json.Unmarshal(c.Data, &rows); err != nil {
		return nil, fmt.Errorf("decode rows from %d: %w", c.First, err)
	}
	return rows, nil
}
