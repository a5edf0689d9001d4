package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/go-json-experiment/json"

	"portaria/messaging"
	"portaria/store"
)

// logsCmd shows api_logs.
type logsCmd struct {
	Follow   bool   `short:"f" help:"Go on with what comes, until Ctrl-C."`
	Key      string `help:"Only this key's requests, by its id." placeholder:"KEY_ID"`
	Instance string `help:"Only requests on this instance, by id or name." placeholder:"INSTANCE"`
	Status   int    `help:"Only answers with this HTTP status." placeholder:"CODE"`
	Since    string `help:"Only from this time on: RFC 3339, or how long ago, as 15m." placeholder:"TIME"`
	Limit    int    `default:"50" help:"At most so many of the newest, 1 to 10,000." placeholder:"N"`
}

// Help implements kong.HelpProvider.
func (logsCmd) Help() string {
	return `Oldest first. Callers without a valid key are shown too, unless a filter leaves them out. A row appears within
half a second of its request. With --json one array; with --follow --json one document a line, without end.

  portaria logs --status 401
  portaria logs --key key_4fT0aXk2Lq9Z --since 24h --json
  portaria logs --follow --instance support`
}

const (
	maxLogRows     = 10_000
	followInterval = 250 * time.Millisecond
)

// Run implements the command.
func (cmd *logsCmd) Run(ctx context.Context, c *Config, io streams) error {
	since, err := cmd.check(time.Now())
	if err != nil {
		return err
	}
	return c.withStore(ctx, io, func(s *store.Store) error {
		r, err := cmd.reader(ctx, c, s, since)
		if err != nil {
			return err
		}
		rows, err := r.newest(ctx, cmd.Limit)
		if err != nil {
			return err
		}
		if !cmd.Follow {
			return printLogs(c, io, rows)
		}
		ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
		defer stop()
		return r.follow(ctx, c, io, rows)
	})
}

// check refuses flags that cannot be used and reads --since.
func (cmd *logsCmd) check(now time.Time) (since time.Time, err error) {
	switch {
	case cmd.Limit < 1 || cmd.Limit > maxLogRows:
		return since, usageError("--limit: must be between 1 and 10,000")
	case cmd.Status != 0 && (cmd.Status < 100 || cmd.Status > 599):
		return since, usageError("--status: must be an HTTP status, 100 to 599")
	case cmd.Key != "" && !strings.HasPrefix(cmd.Key, string(messaging.KeyPrefix)):
		return since, usageError("--key: must be a key's id, key_… (see `portaria keys list`), and never its token")
	case cmd.Since == "":
		return since, nil
	}
	if ago, err := messaging.ParseDuration(cmd.Since); err == nil {
		return now.Add(-ago), nil
	}
	if since, err = time.Parse(time.RFC3339, cmd.Since); err != nil {
		return since, usageError("--since: must be a time as 2026-01-31T12:00:00Z, or how long ago, as 15m or 7d")
	}
	return since, nil
}

// logReader reads the rows of a workspace's two environments, and those of
// callers without a valid key, which belong to none.
type logReader struct {
	store     *store.Store
	tenancies []messaging.Tenancy
	last      []int64 // of each tenancy, the newest row seen
	filter    messaging.LogFilter
}

func (cmd *logsCmd) reader(ctx context.Context, c *Config, s *store.Store, since time.Time) (*logReader, error) {
	w, err := c.workspace(ctx, s)
	if err != nil {
		return nil, err
	}
	r := &logReader{store: s, filter: messaging.LogFilter{KeyID: cmd.Key, Status: cmd.Status, Since: since}}
	for _, e := range []messaging.Environment{messaging.Test, messaging.Live} {
		r.tenancies = append(r.tenancies, messaging.NewTenancy(w.ID, e, messaging.AllInstances()))
	}
	if w.ID != "" {
		r.tenancies = append(r.tenancies, messaging.NewTenancy("", "", messaging.AllInstances()))
	}
	r.last = make([]int64, len(r.tenancies))
	switch {
	case cmd.Instance == "":
	case messaging.ValidID(messaging.InstancePrefix, cmd.Instance): // it may have been deleted; its rows are still there
		r.filter.InstanceID = cmd.Instance
	default:
		i, err := findInstance(ctx, s, w.ID, "", cmd.Instance)
		if err != nil {
			return nil, err
		}
		r.filter.InstanceID = i.ID
	}
	return r, nil
}

// newest returns the newest rows, oldest first.
func (r *logReader) newest(ctx context.Context, limit int) ([]messaging.RequestLog, error) {
	return r.read(ctx, limit, func(int) int64 { return 0 })
}

// next returns the rows that came since the last look, oldest first.
func (r *logReader) next(ctx context.Context) ([]messaging.RequestLog, error) {
	return r.read(ctx, maxLogRows, func(tenancy int) int64 { return r.last[tenancy] })
}

// read merges what the tenancies have. after is where to begin in one of them:
// 0 asks for its newest rows.
func (r *logReader) read(ctx context.Context, limit int, after func(tenancy int) int64) ([]messaging.RequestLog, error) {
	var all []messaging.RequestLog
	for n, t := range r.tenancies {
		filter := r.filter
		filter.AfterID = after(n)
		rows, err := r.store.RequestLogs(ctx, t, filter, messaging.Page{Limit: limit})
		if err != nil {
			return nil, err
		}
		last := r.last[n]
		for _, row := range rows {
			if row.ID > last {
				all = append(all, row)
				r.last[n] = max(r.last[n], row.ID)
			}
		}
	}
	slices.SortFunc(all, func(a, b messaging.RequestLog) int { return int(min(max(a.ID-b.ID, -1), 1)) })
	return all[max(len(all)-limit, 0):], nil
}

// follow prints rows as they come until ctx ends.
func (r *logReader) follow(ctx context.Context, c *Config, io streams, rows []messaging.RequestLog) error {
	tick := time.NewTicker(followInterval)
	defer tick.Stop()
	for {
		for _, row := range rows {
			if err := printLogLine(c, io, row); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		var err error
		if rows, err = r.next(ctx); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
	}
}

func printLogs(c *Config, io streams, rows []messaging.RequestLog) error {
	if c.JSON {
		views := make([]logView, len(rows))
		for i, row := range rows {
			views[i] = viewLog(row)
		}
		return printJSON(io, views)
	}
	for _, row := range rows {
		if err := printLogLine(c, io, row); err != nil {
			return err
		}
	}
	return nil
}

func printLogLine(c *Config, io streams, row messaging.RequestLog) error {
	v := viewLog(row)
	if c.JSON {
		b, err := json.Marshal(v)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(io.out, string(b))
		return err
	}
	_, err := fmt.Fprintln(io.out, strings.Join([]string{
		v.Time.String(), strconv.Itoa(row.Status), row.Method, row.Route, orDash(row.KeyID), orDash(row.InstanceID), orDash(row.ErrorCode),
		row.Duration.Round(time.Microsecond).String(), orDash(row.IP), row.RequestID,
	}, "  "))
	return err
}
