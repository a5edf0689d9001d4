package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"portaria/messaging"
	"portaria/store"
)

// checkDataDir looks at the data directory, its modes, and whether this user
// may write to it.
func (d *diagnosis) checkDataDir(c *Config) {
	const check = "data dir"
	info, err := os.Stat(c.DataDir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		d.add(check, checkWarn, c.DataDir+" is not there yet", "The first `portaria serve` makes it; check --data-dir if you expected one.")
		return
	case err != nil:
		d.blame(check, errDataDir.Because(err))
		return
	case !info.IsDir():
		d.blame(check, errDataDir.Because(fmt.Errorf("%s is not a directory", c.DataDir)))
		return
	}
	probe, err := os.CreateTemp(c.DataDir, ".doctor-*")
	if err != nil {
		d.blame(check, errDataDir.Because(err))
		return
	}
	if err := errors.Join(probe.Close(), os.Remove(probe.Name())); err != nil {
		d.blame(check, errDataDir.Because(err))
		return
	}
	loose, err := looseModes(c.DataDir)
	switch {
	case err != nil:
		d.blame(check, errDataDir.Because(err))
	case len(loose) > 0:
		d.add(check, checkWarn, "others may use "+loose[0].path, "chmod go= "+loose[0].path+"; the next `portaria serve` does the same.")
	case info.Mode().Perm()&^dataDirMode != 0:
		d.add(check, checkWarn, "others may look into "+c.DataDir+", which holds more than Portaria's files",
			"Give Portaria a folder of its own with --data-dir; what it keeps here is closed to others.")
	default:
		d.add(check, checkOK, c.DataDir+" is writable, and closed to others", "")
	}
}

// The free space below which the doctor warns, and fails.
const (
	littleSpace = 1 << 30
	noSpace     = 100 << 20
)

// checkDisk looks at the space left for the data directory.
func (d *diagnosis) checkDisk(c *Config) {
	const check = "disk"
	dir := c.DataDir
	for {
		if _, err := os.Stat(dir); err == nil {
			break
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			break
		}
		dir = parent
	}
	var disk syscall.Statfs_t
	if err := syscall.Statfs(dir, &disk); err != nil {
		d.add(check, checkWarn, "the free space cannot be read: "+err.Error(), "Look for yourself: df "+dir)
		return
	}
	free := disk.Bavail * uint64(disk.Bsize) //nolint:gosec,unconvert // the type differs between systems; it is never negative
	found := fmt.Sprintf("%.1f GiB free", float64(free)/(1<<30))
	switch {
	case free < noSpace:
		d.add(check, checkFail, found, "Make room: without it, messages are refused.")
	case free < littleSpace:
		d.add(check, checkWarn, found, "Make room before it runs out.")
	default:
		d.add(check, checkOK, found, "")
	}
}

// openDatabase opens the database as it is, and makes none: nil when there is
// none or when it cannot be used.
func (d *diagnosis) openDatabase(ctx context.Context, c *Config) *store.Store {
	const check = "database"
	url, err := c.databaseURL()
	if err != nil {
		return nil // said by the check of the configuration
	}
	if url == "" && !store.Exists(c.DataDir) {
		d.add(check, checkWarn, "there is none yet", "The first `portaria serve` makes it; check --data-dir if you expected one.")
		return nil
	}
	s, err := store.Open(ctx, store.Options{DatabaseURL: url, DataDir: c.DataDir, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		d.blame(check, err)
		return nil
	}
	d.add(check, checkOK, s.Engine()+" answers", "")
	return s
}

const (
	// smallSkew and largeSkew are how far this machine's clock may be from the
	// database's before the doctor warns, and fails.
	smallSkew = 2 * time.Second
	largeSkew = time.Minute
)

// checkClock compares the machine's clock with what it cannot be before, and
// with the database's. Expiries, revocations and signatures rest on it.
func (d *diagnosis) checkClock(ctx context.Context, s *store.Store) {
	const check, advice = "clock", "Set the machine's clock, and keep it right with NTP."
	now := time.Now()
	found := now.UTC().Format(time.RFC3339)
	if now.Before(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)) {
		d.add(check, checkFail, found+" was before Portaria existed", advice)
		return
	}
	if s == nil {
		d.add(check, checkOK, found, "")
		return
	}
	theirs, err := s.Clock(ctx)
	if err != nil {
		d.blame(check, err)
		return
	}
	skew := time.Since(theirs).Abs()
	newest := newestTrace(ctx, s)
	switch {
	case skew > largeSkew:
		d.add(check, checkFail, fmt.Sprintf("%s differs from the database's clock by %s", found, skew.Round(time.Second)), advice)
	case newest.After(now.Add(largeSkew)):
		d.add(check, checkFail, fmt.Sprintf("%s lies before %s, when something was last written", found, newest.UTC().Format(time.RFC3339)), advice)
	case skew > smallSkew:
		d.add(check, checkWarn, fmt.Sprintf("%s differs from the database's clock by %s", found, skew.Round(time.Millisecond)), advice)
	default:
		d.add(check, checkOK, found, "")
	}
}

// newestTrace returns the newest time at which a server or a command wrote by
// the machine's clock; zero when nothing tells, as in an empty database.
func newestTrace(ctx context.Context, s *store.Store) (newest time.Time) {
	workspaces, err := s.Workspaces(ctx)
	if err != nil {
		return newest
	}
	tenancies := []messaging.Tenancy{messaging.NewTenancy("", "", messaging.AllInstances())}
	for _, w := range workspaces {
		newest = later(newest, w.CreatedAt)
		for _, e := range []messaging.Environment{messaging.Test, messaging.Live} {
			tenancies = append(tenancies, messaging.NewTenancy(w.ID, e, messaging.AllInstances()))
		}
	}
	for _, t := range tenancies {
		rows, err := s.RequestLogs(ctx, t, messaging.LogFilter{}, messaging.Page{})
		if err == nil && len(rows) > 0 {
			newest = later(newest, rows[0].At)
		}
	}
	return newest
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// serverPatience bounds each question to a server: what answers slower than
// this is not well.
const serverPatience = 3 * time.Second

// checkServer asks a server whether it is alive and ready.
func (d *diagnosis) checkServer(ctx context.Context, base string) {
	client := http.Client{Timeout: serverPatience}
	for _, question := range []struct{ check, path, advice string }{
		{"server alive", "/healthz", "Start it, or look into its log."},
		{"server ready", "/readyz", "Look into its log: most often its database does not answer."},
	} {
		status, err := ask(ctx, &client, base+question.path)
		switch {
		case err != nil:
			d.add(question.check, checkFail, base+" does not answer: "+err.Error(), question.advice)
			return
		case status != http.StatusOK:
			d.add(question.check, checkFail, fmt.Sprintf("%s%s answers %d", base, question.path, status), question.advice)
			return
		}
		d.add(question.check, checkOK, base, "")
	}
}

func ask(ctx context.Context, client *http.Client, address string) (status int, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return 0, err
	}
	answer, err := client.Do(req)
	if err != nil {
		return 0, errors.Unwrap(err) // without the address, which is said already
	}
	defer answer.Body.Close()
	_, err = io.Copy(io.Discard, io.LimitReader(answer.Body, maxAnswer))
	return answer.StatusCode, err
}
