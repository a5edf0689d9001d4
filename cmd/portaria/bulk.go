package main

import (
	"fmt"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"portaria/messaging"
)

// bulkCmd sends one message to many recipients. Its commands are clients: they
// know nothing but the API.
type bulkCmd struct {
	Send  bulkSendCmd  `cmd:"" help:"Send a message to every row of a file, and watch it."`
	Watch bulkWatchCmd `cmd:"" help:"Watch a bulk until it ends."`
}

// bulkView is what the commands read of a bulk.
type bulkView struct {
	ID     string              `json:"id"`
	State  messaging.BulkState `json:"state"`
	Counts bulkCounts          `json:"counts"`
	SendAt time.Time           `json:"send_at"`
	Ends   time.Time           `json:"estimated_completion_at"` // zero: unknown
}

// bulkCounts part the rows by where they stand.
type bulkCounts struct {
	Total     int64 `json:"total"`
	Queued    int64 `json:"queued"`
	Sent      int64 `json:"sent"`
	Delivered int64 `json:"delivered"`
	Read      int64 `json:"read"`
	Failed    int64 `json:"failed"`
	Skipped   int64 `json:"skipped"`
	Canceled  int64 `json:"canceled"`
}

// gone is how many rows wait for nothing any more.
func (c *bulkCounts) gone() int64 { return c.Total - c.Queued }

// String tells of the rows that are not queued.
func (c *bulkCounts) String() string {
	text := fmt.Sprintf("%d sent, %d delivered, %d read, %d failed, %d skipped", c.Sent, c.Delivered, c.Read, c.Failed, c.Skipped)
	if c.Canceled > 0 {
		text += fmt.Sprintf(", %d canceled", c.Canceled)
	}
	return text
}

// readBulk reads a bulk as the server answered it.
func readBulk(data jsontext.Value) (b bulkView, err error) {
	if err := json.Unmarshal(data, &b); err != nil || !messaging.ValidID(messaging.BulkPrefix, b.ID) {
		return b, errStrangeAnswer.Because(err)
	}
	return b, nil
}
