package main

import (
	"context"
	"fmt"
	"strings"

	"portaria/internal/fault"
	"portaria/store"
)

// doctorCmd looks for what would keep the gateway from working.
type doctorCmd struct {
	Server     string `help:"Also ask this server whether it is alive and ready." placeholder:"URL"`
	QuickCheck bool   `help:"Also read the whole SQLite file and look for damage; may take a while."`
}

// Help implements kong.HelpProvider.
func (doctorCmd) Help() string {
	return `Each check ends as ok, warn or fail, and says what to do. Ends with 1 when one fails. It changes nothing and works
beside a running server.

  portaria doctor
  portaria doctor --quick-check --json
  portaria doctor --server http://127.0.0.1:8080`
}

// verdict is how a check ended.
type verdict string

// The verdicts.
const (
	checkOK   verdict = "ok"
	checkWarn verdict = "warn"
	checkFail verdict = "fail"
)

// finding is what one check found.
type finding struct {
	Check  string   `json:"check"`
	Status verdict  `json:"status"`
	Found  string   `json:"found"`
	Advice nullable `json:"advice"` // what to do; null when all is well
}

// diagnosis is the doctor's document.
type diagnosis struct {
	Status  verdict   `json:"status"` // the worst of its findings
	Version string    `json:"version"`
	Checks  []finding `json:"checks"`
}

func (d *diagnosis) add(check string, status verdict, found, advice string) {
	d.Checks = append(d.Checks, finding{check, status, found, nullable(advice)})
	if status == checkFail || (status == checkWarn && d.Status == checkOK) {
		d.Status = status
	}
}

// blame adds a failed check for an error; a fault's sentence says what to do.
func (d *diagnosis) blame(check string, err error) {
	told := describe(err)
	found := told.Code
	if told.cause != nil {
		found += ": " + told.cause.Error()
	}
	if fault.As(err) == nil {
		d.add(check, checkFail, told.Message, "")
		return
	}
	d.add(check, checkFail, found, told.Message)
}

// Run implements the command.
func (cmd *doctorCmd) Run(ctx context.Context, c *Config, io streams) error {
	server, err := cmd.server()
	if err != nil {
		return err
	}
	d := diagnosis{Status: checkOK, Version: version()}
	cmd.examine(ctx, c, &d)
	if server != "" {
		d.checkServer(ctx, server)
	}
	if err := d.print(c, io); err != nil {
		return err
	}
	if d.Status == checkFail {
		return toldError("not all is well; see the advice above")
	}
	return nil
}

func (cmd *doctorCmd) server() (string, error) {
	if cmd.Server == "" {
		return "", nil
	}
	return serverURL("--server", cmd.Server)
}

// examine makes the checks that need no server.
func (cmd *doctorCmd) examine(ctx context.Context, c *Config, d *diagnosis) {
	d.checkConfiguration(c)
	d.checkDataDir(c)
	d.checkDisk(c)
	s := d.openDatabase(ctx, c)
	if s == nil {
		d.checkClock(ctx, nil)
		return
	}
	defer func() { _ = s.Close() }() // it was only read
	if cmd.QuickCheck {
		d.checkDamage(ctx, s)
	}
	d.checkClock(ctx, s)
	if d.checkSchema(ctx, s) {
		d.checkSecretKey(ctx, c, s)
	}
}

func (d *diagnosis) checkConfiguration(c *Config) {
	url, err := c.databaseURL()
	if err == nil {
		_, err = c.trustedProxies()
	}
	if err == nil {
		_, err = c.knownSecretKey()
	}
	if err != nil {
		d.blame("configuration", err)
		return
	}
	engine := "SQLite in " + c.DataDir
	if url != "" {
		engine = "PostgreSQL"
	}
	d.add("configuration", checkOK, engine, "")
}

func (d *diagnosis) checkDamage(ctx context.Context, s *store.Store) {
	if err := s.QuickCheck(ctx); err != nil {
		d.blame("damage", err)
		return
	}
	d.add("damage", checkOK, "none found", "")
}

// checkSchema reports whether the database's tables can be read.
func (d *diagnosis) checkSchema(ctx context.Context, s *store.Store) bool {
	current, newest, err := s.Schema(ctx)
	found := fmt.Sprintf("schema %d of %d", current, newest)
	switch {
	case err != nil:
		d.blame("schema", err)
	case current > newest:
		d.add("schema", checkFail, found, store.ErrDatabaseNewer.Message())
	case current < newest:
		d.add("schema", checkWarn, found, "The next `portaria serve` or `portaria migrate up` brings it up to date.")
	default:
		d.add("schema", checkOK, found, "")
	}
	return err == nil && current > 0
}

// checkSecretKey compares the key with the database's memory of it.
func (d *diagnosis) checkSecretKey(ctx context.Context, c *Config, s *store.Store) {
	const check = "secret key"
	known, err := s.Fact(ctx, secretKeyFact)
	if err != nil {
		d.blame(check, err)
		return
	}
	key, err := c.knownSecretKey()
	switch {
	case err != nil: // said by the check of the configuration
	case key == nil && known == "":
		d.add(check, checkOK, "none yet; the first start draws one", "")
	case key == nil:
		d.add(check, checkFail, "the key with fingerprint "+known+" is missing",
			"Put "+secretKeyFile+" back into the data directory, or set PORTARIA_SECRET_KEY to what it held.")
	case known != "" && known != fingerprint(key):
		d.add(check, checkFail, "the key has fingerprint "+fingerprint(key)+", the database knows "+known, errSecretKey.Message())
	default:
		d.add(check, checkOK, "fingerprint "+fingerprint(key), "")
	}
}

func (d *diagnosis) print(c *Config, io streams) error {
	if c.JSON {
		return printJSON(io, d)
	}
	for _, f := range d.Checks {
		fmt.Fprintf(io.out, "%-4s  %-13s  %s\n", f.Status, f.Check, f.Found)
		if f.Advice != "" {
			fmt.Fprintf(io.out, "%s%s\n", strings.Repeat(" ", 21), f.Advice)
		}
	}
	return nil
}
