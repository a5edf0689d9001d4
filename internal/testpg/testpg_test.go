package testpg

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// envChild makes the test binary play the process that dies without warning.
const envChild = "TESTPG_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(envChild) != "" {
		os.Exit(child())
	}
	goleak.VerifyTestMain(Around(m))
}

// child starts a server, says where, and then only waits to be killed.
func child() int {
	s, err := Start(context.Background(), Options{})
	if err != nil {
		os.Stderr.WriteString(err.Error())
		return 1
	}
	os.Stdout.WriteString(s.dir + " " + s.address.Host + "\n")
	select {}
}

func start1(t *testing.T, opts Options) *Server {
	t.Helper()
	s, err := Start(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	return s
}

func show(t *testing.T, address, setting string) (value string) {
	t.Helper()
	db, err := sql.Open("postgres", address)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.QueryRowContext(t.Context(), "SHOW "+setting).Scan(&value); err != nil {
		t.Fatalf("SHOW %s: %v", setting, err)
	}
	return value
}

// eventually polls for what other processes do in their own time.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	deadline := time.NewTimer(time.Minute)
	defer deadline.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-deadline.C:
			t.Fatalf("waited in vain: %s", what)
		case <-tick.C:
		}
	}
}

func gone(dir string) bool {
	_, err := os.Stat(dir)
	return errors.Is(err, os.ErrNotExist)
}

func silent(t *testing.T, host string) bool {
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", host)
	if err == nil {
		conn.Close()
	}
	return err != nil
}

// TestServerIsUnprivilegedAndLeavesNothing runs on root's machines (CI) and on
// everybody else's: the server is never root's, and after Stop neither its
// port nor its folder is there.
func TestServerIsUnprivilegedAndLeavesNothing(t *testing.T) {
	s := start1(t, Options{})
	info, err := os.Stat(data(s.dir))
	if err != nil {
		t.Fatal(err)
	}
	if stat := info.Sys().(*syscall.Stat_t); stat.Uid == 0 {
		t.Error("the server's data belongs to root")
	}
	if got := show(t, s.URL(), "max_connections"); got != "200" {
		t.Errorf("max_connections %s, want 200", got)
	}
	if got := show(t, s.URL(), "fsync"); got != "off" {
		t.Errorf("fsync %s without Durable, want off", got)
	}
	s.Stop()
	s.Stop() // twice is allowed
	if !gone(s.dir) {
		t.Errorf("%s is still there", s.dir)
	}
	if !silent(t, s.address.Host) {
		t.Errorf("%s still listens", s.address.Host)
	}
}

// TestDurableServerKeepsItsWord: benchmarks of durable commits would be worth
// nothing on a server that does not sync.
func TestDurableServerKeepsItsWord(t *testing.T) {
	s := start1(t, Options{Durable: true})
	for _, setting := range []string{"fsync", "synchronous_commit", "full_page_writes"} {
		if got := show(t, s.URL(), setting); got != "on" {
			t.Errorf("%s %s, want on", setting, got)
		}
	}
}

// TestServerDiesWithItsProcess kills a process that has a server, as the
// out-of-memory killer would: no test may leave servers and folders behind.
func TestServerDiesWithItsProcess(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), envChild+"=1")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	dir, host, _ := strings.Cut(strings.TrimSpace(line), " ")
	if gone(dir) || silent(t, host) {
		t.Fatalf("no server in %q at %q", dir, host)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
	eventually(t, "the port closes", func() bool { return silent(t, host) })
	eventually(t, "the folder goes", func() bool { return gone(dir) })
}

// TestEveryDatabaseIsFreshAndDropped is what lets store tests run side by side
// on one server.
func TestEveryDatabaseIsFreshAndDropped(t *testing.T) {
	var first, second string
	t.Run("in use", func(t *testing.T) {
		first, second = Database(t), Database(t)
		if first == second {
			t.Fatalf("two databases share the address %s", first)
		}
		if got := show(t, second, "server_encoding"); got != "UTF8" {
			t.Errorf("encoding %s, want UTF8", got)
		}
	})
	for _, address := range []string{first, second} {
		db, err := sql.Open("postgres", address)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		if err := db.PingContext(t.Context()); err == nil || !strings.Contains(err.Error(), "does not exist") {
			t.Errorf("ping of a dropped database: %v, want that it does not exist", err)
		}
	}
}

// TestCopiesAreOfOneDatabaseAndApart: tests that share tables share no rows, and
// the tables are made once.
func TestCopiesAreOfOneDatabaseAndApart(t *testing.T) {
	prepared := 0
	prepare := func(address string) error {
		prepared++
		return run(t, address, "CREATE TABLE prepared (n INT)")
	}
	for range 3 {
		address := Copy(t, t.Name(), prepare)
		if err := run(t, address, "INSERT INTO prepared VALUES (1)"); err != nil {
			t.Fatal(err)
		}
		if got := show(t, address, "server_encoding"); got != "UTF8" {
			t.Errorf("encoding %s, want UTF8", got)
		}
		if err := run(t, address, "ALTER TABLE prepared ADD COLUMN of_this_copy_alone INT"); err != nil {
			t.Errorf("the copy is not apart: %v", err)
		}
	}
	if prepared != 1 {
		t.Errorf("prepared %d times, want once", prepared)
	}
}

func run(t *testing.T, address, statement string) error {
	t.Helper()
	db, err := sql.Open("postgres", address)
	if err != nil {
		return err
	}
	defer db.Close()
	_, err = db.ExecContext(t.Context(), statement)
	return err
}

// TestDropWorksWithConnectionsOpen matters because a server under test that was
// killed leaves its connections for a while.
func TestDropWorksWithConnectionsOpen(t *testing.T) {
	Database(t) // makes sure that the shared server runs
	s, err := shared.get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	address, drop, err := s.NewDatabase(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("postgres", address)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.PingContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	drop()
	if err := db.PingContext(t.Context()); err == nil {
		t.Error("the database outlived its drop")
	}
}

// TestAttachSaysWhatItWants: a DSN in another form would otherwise lose its
// database name in silence.
func TestAttachSaysWhatItWants(t *testing.T) {
	for _, address := range []string{"host=localhost user=me", "mysql://localhost/x", "://"} {
		if _, err := Attach(address); err == nil || !strings.Contains(err.Error(), "postgres://") {
			t.Errorf("Attach(%q) = %v, want a sentence with an example", address, err)
		}
	}
}
