package main

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"

	"portaria/messaging"
)

// report tells what became of a bulk, by what ended its watching.
func (w *bulkWatcher) report(ctx context.Context, c *Config, io streams, err error) error {
	if err != nil && !errors.Is(err, errDetached) {
		if w.data != nil {
			fmt.Fprintf(io.err, "portaria: the bulk goes on by itself; portaria bulk watch %s picks it up\n", w.id)
		}
		return err
	}
	if err != nil {
		fmt.Fprintf(io.err, "portaria: no longer watching; the bulk goes on, and portaria bulk watch %s picks it up\n", w.id)
		if c.JSON && w.data != nil {
			return printJSON(io, w.data)
		}
		return nil
	}
	failed, skipped := w.tally(ctx, "failed", w.bulk.Counts.Failed), w.tally(ctx, "skipped", w.bulk.Counts.Skipped)
	if c.JSON {
		err = printJSON(io, w.data)
	} else {
		err = w.tell(io, failed, skipped)
	}
	if err != nil {
		return err
	}
	return w.verdict(skipped)
}

// tell says what became of a bulk.
func (w *bulkWatcher) tell(io streams, failed, skipped map[string]int64) error {
	_, err := fmt.Fprintf(io.out, "%s: %s, %d recipients: %s\n", w.id, w.bulk.State, w.bulk.Counts.Total, &w.bulk.Counts)
	for _, part := range []struct {
		name  string
		codes map[string]int64
	}{{"failed", failed}, {"skipped", skipped}} {
		if len(part.codes) > 0 {
			fmt.Fprintf(io.out, "  %s: %s\n", part.name, codeWords(part.codes))
		}
	}
	return err
}

// codeWords lists codes with their counts.
func codeWords(codes map[string]int64) string {
	var words []string
	for _, code := range slices.Sorted(maps.Keys(codes)) {
		words = append(words, fmt.Sprintf("%d %s", codes[code], printable(code)))
	}
	return strings.Join(words, ", ")
}

// verdict is the error of a bulk that did not reach everybody whom it should
// have reached. Those who opted out, or have had their share, should not.
func (w *bulkWatcher) verdict(skipped map[string]int64) error {
	counts := &w.bulk.Counts
	if w.bulk.State == messaging.BulkCanceled {
		return toldError(fmt.Sprintf("the bulk was canceled: %d of %d recipients get nothing", counts.Canceled, counts.Total))
	}
	var invalid int64
	for _, code := range []string{
		messaging.SkippedInvalid, messaging.SkippedSandbox, messaging.SkippedVariable, messaging.SkippedTooLong, messaging.SkippedUnfit,
	} {
		invalid += skipped[code]
	}
	switch {
	case counts.Failed > 0 && invalid > 0:
		return toldError(fmt.Sprintf("%d failed and %d could not be sent to: GET %s?status=failed and ?status=skipped list them, POST %s tries the failed ones again",
			counts.Failed, invalid, w.path("recipients"), w.path("retry-failed")))
	case counts.Failed > 0:
		return toldError(fmt.Sprintf("%d failed: GET %s?status=failed lists them, POST %s tries them again",
			counts.Failed, w.path("recipients"), w.path("retry-failed")))
	case invalid > 0:
		return toldError(fmt.Sprintf("%d could not be sent to: GET %s?status=skipped lists them", invalid, w.path("recipients")))
	default:
		return nil
	}
}

// path is a route of the bulk's.
func (w *bulkWatcher) path(route string) string { return "/v1/bulk/" + w.id + "/" + route }

// tally counts the rows of a status by their code. What it cannot find out it
// leaves out: the counts themselves are known.
func (w *bulkWatcher) tally(ctx context.Context, status string, rows int64) map[string]int64 {
	if rows == 0 {
		return nil
	}
	req, err := w.api.request(ctx, http.MethodGet, w.path("recipients")+"?status="+status, nil)
	if err != nil {
		return nil
	}
	req.Header.Set("Accept", "text/csv")
	answer, err := w.api.http.Do(req)
	if err != nil {
		return nil
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil
	}
	return countCodes(answer.Body)
}

// countCodes counts the rows of a CSV by their column error_code.
func countCodes(text io.Reader) map[string]int64 {
	rows := csv.NewReader(text)
	rows.ReuseRecord = true
	header, err := rows.Read()
	if err != nil {
		return nil
	}
	column := slices.Index(header, "error_code")
	codes := make(map[string]int64)
	for column >= 0 {
		row, err := rows.Read()
		if err != nil {
			break
		}
		codes[row[column]]++
	}
	return codes
}
