package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/rogpeppe/go-internal/testscript"

	"portaria/internal/testpg"
)

// bothEngines is in the first line of the stories that PostgreSQL could tell
// otherwise than SQLite.
const bothEngines = "both engines"

// The stories are the product as its users meet it: the real binary, real
// processes, curl. Each is one file of testdata/script.
func TestStories(t *testing.T) {
	t.Parallel()
	for _, tool := range []string{"curl", "sh", "awk"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Fatalf("the stories run the commands that users paste: install %s", tool)
		}
	}
	t.Run("sqlite", func(t *testing.T) {
		testscript.Run(t, params(testscript.Params{Dir: "testdata/script"}, func(testing.TB) string { return "" }))
	})
	if !storiesOnPostgres {
		return
	}
	t.Run("postgres", func(t *testing.T) {
		testscript.Run(t, params(testscript.Params{Files: storiesOfBothEngines(t)}, testpg.Database))
	})
}

func storiesOfBothEngines(t *testing.T) (files []string) {
	all, err := filepath.Glob("testdata/script/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range all {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if first, _, _ := bytes.Cut(text, []byte("\n")); bytes.Contains(first, []byte(bothEngines)) {
			files = append(files, file)
		}
	}
	if len(files) == 0 {
		t.Fatal("no story is for both engines")
	}
	return files
}

// params gives the stories their commands, and a database of their own.
func params(p testscript.Params, database func(testing.TB) string) testscript.Params {
	p.RequireExplicitExec = true
	p.Setup = func(env *testscript.Env) error {
		readme, err := filepath.Abs("../../README.md")
		if err != nil {
			return err
		}
		env.Setenv("README", readme)
		env.Setenv("DOCS", filepath.Join(filepath.Dir(readme), "docs"))
		env.Setenv("DATABASE_URL", database(env.T().(testing.TB)))
		env.Setenv("PORTARIA_BCRYPT_COST", "4") // nobody attacks these keys
		// A month from now: whatever the year, a message may be sent then.
		env.Setenv("LATER", time.Now().Add(30*24*time.Hour).UTC().Format(time.RFC3339))
		env.Values[serversKey{}] = make(map[string]*server)
		return nil
	}
	p.Cmds = map[string]func(*testscript.TestScript, bool, []string){
		"server":     startServer,
		"stop":       stopServer,
		"take":       takeValue,
		"onejson":    oneDocument,
		"eventually": eventually,
		"busy":       occupyPort,
		"newer":      makeNewer,
		"mode":       checkMode,
		"same":       compareWords,
	}
	return p
}

type serversKey struct{}

// server is a `portaria serve` of a story.
type server struct {
	cmd *exec.Cmd
	log *lockedBuffer
}

// settings are the variables that a story may set for its servers.
var settings = []string{
	"PATH", "HOME", "TMPDIR", "GOCOVERDIR", "DATABASE_URL", "PORTARIA_BCRYPT_COST", "PORTARIA_DATA_DIR", "PORTARIA_SECRET_KEY",
	"PORTARIA_SECRET_KEY_FILE", "PORTARIA_LOG_LEVEL", "PORTARIA_PUBLIC_URL",
}

var (
	listeningLine = regexp.MustCompile(`msg=listening address=(\S+)`)
	bannerKey     = regexp.MustCompile(`Sandbox key +(sk_test_\w+)`)
)

// startServer runs `server NAME [flag…]`: a server on a free port, waited for
// until it listens. It sets $URL, and $KEY when the banner shows one; what the
// server has said by then is in the file NAME.log.
func startServer(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: server NAME [flag…]")
	}
	name := args[0]
	s := &server{log: new(lockedBuffer)}
	s.cmd = exec.Command("portaria", append([]string{"serve", "--listen", "127.0.0.1:0"}, args[1:]...)...)
	s.cmd.Dir, s.cmd.Stderr = ts.MkAbs("."), s.log
	for _, variable := range settings {
		if value := ts.Getenv(variable); value != "" {
			s.cmd.Env = append(s.cmd.Env, variable+"="+value)
		}
	}
	ts.Check(s.cmd.Start())
	ts.Value(serversKey{}).(map[string]*server)[name] = s
	ts.Defer(func() { s.end(syscall.SIGKILL) })

	var address []string
	poll(patience, func() bool {
		address = listeningLine.FindStringSubmatch(s.log.String())
		return address != nil
	})
	if address == nil {
		ts.Fatalf("the server does not listen; it said:\n%s", s.log.String())
	}
	ts.Setenv("URL", "http://"+address[1])
	ts.Setenv("PORTARIA_URL", "http://"+address[1])
	if key := bannerKey.FindStringSubmatch(s.log.String()); key != nil {
		ts.Setenv("KEY", key[1])
	}
	ts.Check(os.WriteFile(ts.MkAbs(name+".log"), []byte(s.log.String()), 0o600))
}

// stopServer runs `stop NAME`: SIGTERM, after which the server must end well.
// All that it has said is in the file NAME.log then.
func stopServer(ts *testscript.TestScript, neg bool, args []string) {
	s, ok := ts.Value(serversKey{}).(map[string]*server)[strings.Join(args, " ")]
	if neg || !ok {
		ts.Fatalf("usage: stop NAME")
	}
	if err := s.end(syscall.SIGTERM); err != nil {
		ts.Fatalf("the server ended with %v; it said:\n%s", err, s.log.String())
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]+".log"), []byte(s.log.String()), 0o600))
}

// end signals the server and waits until it is gone. Nil when it was already.
func (s *server) end(signal os.Signal) error {
	if s.cmd.ProcessState != nil {
		return nil
	}
	if err := s.cmd.Process.Signal(signal); err != nil {
		return err
	}
	return s.cmd.Wait()
}

// poll repeats f until it is true or the time is up.
func poll(limit time.Duration, f func() bool) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(limit); !f() && time.Now().Before(end); {
		<-tick.C
	}
}

// takeValue runs `take VARIABLE path.to.member` on the JSON document that the
// last command printed. A number in the path counts the items of an array.
func takeValue(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: take VARIABLE path.to.member")
	}
	var at any
	ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &at))
	for step := range strings.SplitSeq(args[1], ".") {
		switch v := at.(type) {
		case map[string]any:
			at = v[step]
		case []any:
			n, err := strconv.Atoi(step)
			if err != nil || n >= len(v) {
				ts.Fatalf("there is no item %s of %d", step, len(v))
			}
			at = v[n]
		default:
			at = nil
		}
	}
	ts.Setenv(args[0], fmt.Sprint(at))
}

// oneDocument runs `onejson`: the last command printed exactly one JSON
// document on standard output.
func oneDocument(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: onejson")
	}
	var document any
	if err := json.Unmarshal([]byte(ts.ReadFile("stdout")), &document); err != nil {
		ts.Fatalf("standard output is not one JSON document: %v", err)
	}
}

// busyMachine is how much longer than a story says things may take.
const busyMachine = 10

// eventually runs `eventually LIMIT REGEXP command…`: the command's standard
// output matches before the time is up. The limit is that of a machine with
// nothing else to do.
func eventually(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: eventually LIMIT REGEXP command…")
	}
	limit, err := time.ParseDuration(args[0])
	ts.Check(err)
	want, err := regexp.Compile(args[1])
	ts.Check(err)
	found := false
	poll(busyMachine*limit, func() bool {
		err = ts.Exec(args[2], args[3:]...)
		found = want.MatchString(ts.ReadFile("stdout"))
		return found
	})
	if !found {
		ts.Fatalf("standard output did not match %s within %s (%v)", want, limit, err)
	}
}

// occupyPort runs `busy VARIABLE`: somebody else listens on a port, whose
// address goes into the variable.
func occupyPort(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: busy VARIABLE")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	ts.Defer(func() { _ = l.Close() })
	ts.Setenv(args[0], l.Addr().String())
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(c, "220 this is not HTTP\r\n")
			_ = c.Close()
		}
	}()
}

// checkMode runs `mode MODE FILE`.
func checkMode(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: mode MODE FILE")
	}
	info, err := os.Stat(ts.MkAbs(args[1]))
	ts.Check(err)
	if got := fmt.Sprintf("%04o", info.Mode().Perm()); got != args[0] {
		ts.Fatalf("the mode of %s is %s, want %s", args[1], got, args[0])
	}
}

// compareWords runs `same WORD WORD`, which unlike a command leaves standard
// output as it was.
func compareWords(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: same WORD WORD")
	}
	if (args[0] == args[1]) == neg {
		ts.Fatalf("%q and %q", args[0], args[1])
	}
}
