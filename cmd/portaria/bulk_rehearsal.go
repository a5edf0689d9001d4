package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"
)

// bulkRehearsal is what would become of a bulk, as the server answers it.
type bulkRehearsal struct {
	Accepted bool             `json:"accepted"`
	Total    int64            `json:"total"`
	Valid    int64            `json:"valid"`
	Invalid  int64            `json:"invalid"`
	Skipped  int64            `json:"skipped"`
	Outcomes map[string]int64 `json:"outcomes"`
	Faults   []rowFault       `json:"faults"`
	StartsAt time.Time        `json:"starts_at"`
	EndsAt   time.Time        `json:"ends_at"`
	Seconds  *float64         `json:"duration_seconds"`
	Tokens   struct {
		Requests int64 `json:"requests"`
		Messages int64 `json:"messages"`
	} `json:"tokens"`
}

// rowFault says what is wrong with a row.
type rowFault struct {
	Row     int64  `json:"row"`
	Line    int64  `json:"line"`
	Column  string `json:"column"`
	Code    string `json:"code"`
	Message string `json:"message"`
}

// rehearse asks what the bulk would do, and prints it. It ends with an error
// when the bulk would be refused.
func (cmd *bulkSendCmd) rehearse(ctx context.Context, c *Config, io streams, api *apiClient, upload *bulkUpload, path string) error {
	data, err := upload.postPatiently(ctx, io, api, path+"?dry_run=true", "")
	if err != nil {
		return tellRows(io, cmd.inFlags(err))
	}
	var r bulkRehearsal
	if err := json.Unmarshal(data, &r); err != nil {
		return errStrangeAnswer.Because(err)
	}
	if c.JSON {
		err = printJSON(io, data)
	} else {
		err = r.print(io)
	}
	if err == nil && !r.Accepted {
		err = toldError("the bulk would be refused; nothing was sent")
	}
	return err
}

// print shows a rehearsal to people.
func (r *bulkRehearsal) print(io streams) error {
	rows := [][]string{
		{"ROWS", strconv.FormatInt(r.Total, 10)},
		{"would be sent", strconv.FormatInt(r.Valid, 10)},
		{"cannot be sent", strconv.FormatInt(r.Invalid, 10)},
		{"would be skipped", strconv.FormatInt(r.Skipped, 10)},
	}
	for _, outcome := range slices.Sorted(maps.Keys(r.Outcomes)) {
		rows = append(rows, []string{"  " + printable(outcome), strconv.FormatInt(r.Outcomes[outcome], 10)})
	}
	rows = append(
		rows,
		[]string{"begins", instant(r.StartsAt).String()},
		[]string{"ends", r.ends()},
		[]string{"request tokens", strconv.FormatInt(r.Tokens.Requests, 10)},
	)
	if r.Tokens.Messages > 0 {
		rows = append(rows, []string{"message tokens", strconv.FormatInt(r.Tokens.Messages, 10)})
	}
	if err := table(io.out, rows); err != nil {
		return err
	}
	for n, f := range r.Faults {
		if n == shownFaults {
			break
		}
		fmt.Fprintln(io.out, f.words())
	}
	if more := r.Invalid - shownFaults; more > 0 {
		fmt.Fprintf(io.out, "and %d more\n", more)
	}
	return nil
}

// ends tells when the last message would go.
func (r *bulkRehearsal) ends() string {
	if r.EndsAt.IsZero() || r.Seconds == nil {
		return "not known"
	}
	took := time.Duration(*r.Seconds * float64(time.Second)).Round(time.Second)
	return fmt.Sprintf("%s, after %s", instant(r.EndsAt), took)
}

// words tells of a fault as the server tells it of a bulk that it refuses.
func (f *rowFault) words() string {
	place := fmt.Sprintf("row %d", f.Row)
	if f.Line > 0 {
		place += fmt.Sprintf(" (line %d)", f.Line)
	}
	if f.Column != "" {
		place += ", column " + printable(f.Column)
	}
	return place + ": " + printable(f.Message)
}
