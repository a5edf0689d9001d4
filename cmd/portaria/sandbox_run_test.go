package main

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"
)

// sandboxServer answers like a gateway, and keeps what it was asked.
type sandboxServer struct {
	t      *testing.T
	url    string
	answer func(asked sandboxRequest) (status int, data string)

	mu    sync.Mutex // guards asked
	asked []sandboxRequest
}

type sandboxRequest struct {
	line string // method and path
	seed string
	body string
}

func serveSandbox(t *testing.T, answer func(sandboxRequest) (status int, data string)) *sandboxServer {
	t.Helper()
	s := &sandboxServer{t: t, answer: answer}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	s.url = server.URL
	return s
}

// ServeHTTP implements http.Handler.
func (s *sandboxServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil || r.Header.Get("Authorization") != "Bearer sk_test_x" {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	asked := sandboxRequest{line: r.Method + " " + r.URL.RequestURI(), seed: r.Header.Get("X-Sandbox-Seed"), body: string(body)}
	s.mu.Lock()
	s.asked = append(s.asked, asked)
	s.mu.Unlock()
	status, data := s.answer(asked)
	w.WriteHeader(status)
	if status >= http.StatusBadRequest {
		fmt.Fprintf(w, `{"success":false,"error":%s}`, data)
		return
	}
	fmt.Fprintf(w, `{"success":true,"data":%s}`, data)
}

// run runs the command line against the server.
func (s *sandboxServer) run(in string, args ...string) (exit int, out, complaints string) {
	s.t.Helper()
	s.t.Setenv("PORTARIA_URL", s.url)
	s.t.Setenv("PORTARIA_API_KEY", "sk_test_x")
	var stdout, stderr bytes.Buffer
	exit = run(s.t.Context(), append([]string{"sandbox"}, args...), streams{in: strings.NewReader(in), out: &stdout, err: &stderr})
	return exit, stdout.String(), stderr.String()
}

const (
	passedRun = `{"id":"run_1","name":"order","instance_id":"ins_1","state":"ended","passed":true,"elapsed_ms":1300,
		"steps":[{"number":1,"step":"send","passed":true,"skipped":false,"at_ms":0,"took_ms":0,"problem":null},
			{"number":2,"step":"expect","passed":true,"skipped":false,"at_ms":0,"took_ms":1300,"problem":null}],
		"timeline":["+0ms    send","+1.3s   message.read  \u001b[31mmsg_1"]}`
	failedRun = `{"id":"run_2","name":"order","instance_id":"ins_1","state":"ended","passed":false,"elapsed_ms":5000,
		"steps":[{"number":1,"step":"send","passed":true,"skipped":false,"took_ms":0,"problem":null},
			{"number":2,"step":"expect","passed":false,"skipped":false,"took_ms":5000,"problem":{"code":"EVENT_MISSING","message":"message.read did not come within 5s."}},
			{"number":3,"step":"drop","passed":false,"skipped":true,"took_ms":0,"problem":null}],
		"timeline":["+0ms    send"]}`
	abortedRun = `{"id":"run_3","name":"order","state":"aborted","passed":false,"elapsed_ms":0,"steps":[],"timeline":[]}`
)

const orderScript = "steps:\n  - send: {to: +15005550006, text: Hi}\n  - expect:\n      event: message.read\n  - drop\n"

// A pipeline reads the exit code; people read why. Both must be right for every
// way that a run can end.
func TestSandboxRunEndsAsTheRunDid(t *testing.T) {
	for _, c := range []struct {
		name, script string
		status       int
		data         string
		exit         int
		out, err     string
	}{
		{
			"passed", orderScript, 201, passedRun, exitDone,
			"order.yaml: passed, 2 steps in 1.3s of its clock (run_1)\n  +0ms    send\n  +1.3s   message.read  ·[31mmsg_1\n", "",
		},
		{
			"failed", orderScript, 201, failedRun, exitFailed,
			"order.yaml: failed, 3 steps in 5s of its clock (run_2)\n  +0ms    send\n" +
				"order.yaml:3:5: step 2, expect, failed: message.read did not come within 5s. (EVENT_MISSING)\n",
			"portaria: the script failed\n",
		},
		{
			"aborted", orderScript, 201, abortedRun, exitFailed,
			"order.yaml: failed, 0 steps in 0s of its clock (run_3)\norder.yaml: the run is aborted\n", "portaria: the script failed\n",
		},
		{
			"a script with faults", orderScript, 422,
			`{"code":"VALIDATION_FAILED","message":"No.","details":{"fields":[{"field":"steps[1].expect.within","rule":"x","message":"is too long"},{"field":"steps[0].send.to","rule":"format","message":"is no number"}]}}`,
			exitUsage, "",
			"portaria: order.yaml:2:16: steps[0].send.to: is no number (VALIDATION_FAILED)\n" +
				"portaria: order.yaml:4:7: steps[1].expect.within: is too long (VALIDATION_FAILED)\n",
		},
		{
			"a key that may not", orderScript, 403, `{"code":"INSUFFICIENT_SCOPE","message":"The key has not the scope.","details":{}}`, exitUsage, "",
			"portaria: order.yaml: The key has not the scope. (INSUFFICIENT_SCOPE)\n",
		},
		{
			"an answer of a stranger", orderScript, 200, `7`, exitUsage, "",
			"portaria: order.yaml: What answered is not Portaria: check PORTARIA_URL. (NOT_PORTARIA)\n",
		},
		{
			"a broken script", "steps:\n\t- drop", 201, passedRun, exitUsage, "",
			"portaria: order.yaml:2:1: found character that cannot start any token (SCRIPT_INVALID)\n",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := serveSandbox(t, func(sandboxRequest) (int, string) { return c.status, c.data })
			t.Chdir(filepath.Dir(scriptFile(t, "order.yaml", c.script)))
			exit, out, complaints := s.run("", "run", "order.yaml")
			if exit != c.exit || out != c.out || complaints != c.err {
				t.Errorf("exit = %d, want %d, with\n%s\nwant\n%s\nand\n%s\nwant\n%s", exit, c.exit, out, c.out, complaints, c.err)
			}
		})
	}
}

func TestSandboxRunWithoutAServerIsNoFailedTest(t *testing.T) {
	s := serveSandbox(t, nil)
	s.url = "http://" + freeAddress(t)
	exit, _, complaints := s.run(orderScript, "run", "-")
	if exit != exitUsage || !strings.Contains(complaints, "standard input: Nobody listens at "+s.url) {
		t.Errorf("exit = %d with\n%s", exit, complaints)
	}
}

func TestSandboxRunPostsWhatTheFlagsSay(t *testing.T) {
	for _, c := range []struct {
		name, script, flags, want, wantSeed string
	}{
		{"the least", `{"steps":["drop"]}`, "", `{"name":"order","steps":["drop"]}`, ""},
		{"a name of its own", "name: mine\nsteps: [drop]", "", `{"name":"mine","steps":["drop"]}`, ""},
		{"flags", "name: mine\ninstance: a\nsteps: [drop]", "--name other --instance shop --seed s1", `{"name":"other","instance":"shop","steps":["drop"]}`, "s1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := serveSandbox(t, func(sandboxRequest) (int, string) { return 201, passedRun })
			args := append([]string{"run", scriptFile(t, "order.yaml", c.script)}, strings.Fields(c.flags)...)
			if exit, _, complaints := s.run("", args...); exit != exitDone {
				t.Fatalf("exit = %d with\n%s", exit, complaints)
			}
			asked := s.asked[0]
			if asked.line != "POST /v1/sandbox/runs" || asked.seed != c.wantSeed || canonical(t, asked.body) != canonical(t, c.want) {
				t.Errorf("asked %+v, want the body %s and the seed %q", asked, c.want, c.wantSeed)
			}
		})
	}
}

func TestSandboxRunRefusesWhatCannotBeMeant(t *testing.T) {
	for name, args := range map[string]string{
		"one name for two":        "run a.yaml b.yaml --name x",
		"one seed for two":        "run a.yaml b.yaml --seed x",
		"standard input twice":    "run - -",
		"nothing at once":         "run a.yaml --parallel 0",
		"no file":                 "run",
		"a ban of no length":      "ban shop --for 0s",
		"an inbound from nobody":  "inbound shop --text hi",
		"an inbound of nothing":   "inbound shop --from 1",
		"an inbound of two":       "inbound shop --from 1 --text a --message {}",
		"a caption for a text":    "inbound shop --from 1 --text a --caption b",
		"a message that is none":  "inbound shop --from 1 --message 7",
		"a file that is nowhere":  "inbound shop --from 1 --file nowhere",
		"a clock of another kind": "clock slow",
		"no duration":             "advance 90",
		"too many messages":       "messages --limit 201",
	} {
		t.Run(name, func(t *testing.T) {
			s := serveSandbox(t, func(sandboxRequest) (int, string) { return 500, "{}" })
			if exit, out, complaints := s.run("", strings.Fields(args)...); exit != exitUsage || out != "" || len(s.asked) != 0 {
				t.Errorf("exit = %d with %q and\n%s; asked %v", exit, out, complaints, s.asked)
			}
		})
	}
}

// Two scripts on one instance cannot be played at once, and nobody knows
// beforehand which are: the key may be locked to one.
func TestScriptsThatMeetOnAnInstanceArePlayedInTurn(t *testing.T) {
	var mu sync.Mutex
	playing, seen := 0, make(map[string]bool)
	s := serveSandbox(t, func(asked sandboxRequest) (int, string) {
		mu.Lock()
		playing++
		met, among := !seen[asked.body], playing
		seen[asked.body] = true
		mu.Unlock()
		defer func() {
			mu.Lock()
			playing--
			mu.Unlock()
		}()
		if met {
			return 409, `{"code":"SANDBOX_RUN_IN_PROGRESS","message":"Busy.","details":{}}`
		}
		if among != 1 {
			t.Errorf("it is played again beside %d others", among-1)
		}
		return 201, passedRun
	})
	var files []string
	for n := range 8 {
		files = append(files, scriptFile(t, fmt.Sprintf("%d.yaml", n), orderScript))
	}
	exit, out, complaints := s.run("", append([]string{"run", "--parallel", "8"}, files...)...)
	if exit != exitDone || strings.Count(out, ": passed") != len(files) {
		t.Errorf("exit = %d with\n%s\n%s", exit, out, complaints)
	}
}

// Many scripts may need all the requests that a key has.
func TestALimitedRunIsAskedForAgain(t *testing.T) {
	for _, c := range []struct {
		name           string
		refusals, asks int
		took           time.Duration
		fails          bool
	}{
		{"at once", 0, 1, 0, false},
		{"twice", 2, 3, 40 * time.Second, false},
		{"for too long", 99, 7, 120 * time.Second, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				api, asks := &apiClient{base: "http://portaria.test", token: "sk_test_x"}, 0
				api.http.Transport = roundTrip(func(*http.Request) (*http.Response, error) {
					answer := reply{http.StatusCreated, answered(passedRun)}
					if asks++; asks <= c.refusals {
						answer = reply{http.StatusTooManyRequests, refusedWith("RATE_LIMITED", "")}
					}
					return &http.Response{StatusCode: answer.status, Header: http.Header{"Retry-After": {"20"}}, Body: io.NopCloser(strings.NewReader(answer.body))}, nil
				})
				s, err := readScript(standardInput, strings.NewReader(orderScript))
				if err != nil {
					t.Fatal(err)
				}
				began := time.Now()
				_, err = new(sandboxRunCmd).askPatiently(t.Context(), api, s)
				if took := time.Since(began); (err != nil) != c.fails || took != c.took || asks != c.asks {
					t.Errorf("it ended with %v after %s and %d requests, want %s and %d", err, took, asks, c.took, c.asks)
				}
			})
		})
	}
}

// Verdicts are coloured for people who look, and for nobody else.
func TestVerdictsAreColouredOnATerminal(t *testing.T) {
	p := &play{file: "order.yaml", run: runView{ID: "run_1", Passed: true}}
	for colour, want := range map[bool]string{
		true:  "order.yaml: \x1b[32mpassed\x1b[0m, 0 steps in 0s of its clock (run_1)\n",
		false: "order.yaml: passed, 0 steps in 0s of its clock (run_1)\n",
	} {
		var out bytes.Buffer
		if err := (&playPrinter{colour: colour}).tell(&out, p); err != nil || out.String() != want {
			t.Errorf("with colour %t it is %q, %v; want %q", colour, out.String(), err, want)
		}
	}
}

// Programs get one document whatever happens, in the order of the files.
func TestSandboxRunsDocumentHasEveryFile(t *testing.T) {
	s := serveSandbox(t, func(asked sandboxRequest) (int, string) {
		switch {
		case strings.Contains(asked.body, `"name":"good"`):
			return 201, passedRun
		case strings.Contains(asked.body, `"name":"bad"`):
			return 201, failedRun
		default:
			return 404, `{"code":"INSTANCE_NOT_FOUND","message":"There is no such instance.","details":{"a":1}}`
		}
	})
	report := filepath.Join(t.TempDir(), "report.xml")
	args := []string{"run", "--json", "--junit", report}
	for _, name := range []string{"good.yaml", "bad.yaml", "absent.yaml"} {
		args = append(args, scriptFile(t, name, orderScript))
	}
	exit, out, complaints := s.run("", args...)
	if exit != exitUsage || !strings.HasSuffix(complaints, "portaria: 1 of 3 scripts not played, 1 failed\n") {
		t.Errorf("exit = %d with\n%s", exit, complaints)
	}
	var got []struct {
		File string
		Run  *struct {
			ID     string
			Passed bool
		}
		Error *struct{ Code string }
	}
	if err := json.Unmarshal([]byte(out), &got, json.MatchCaseInsensitiveNames(true)); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	if len(got) != 3 || got[0].Run == nil || !got[0].Run.Passed || got[1].Run == nil || got[1].Run.Passed ||
		got[2].Run != nil || got[2].Error == nil || got[2].Error.Code != "INSTANCE_NOT_FOUND" || !strings.HasSuffix(got[2].File, "absent.yaml") {
		t.Errorf("the document is\n%s", out)
	}
	checkJUnit(t, report)
}

// checkJUnit holds the report against what its readers count.
func checkJUnit(t *testing.T, path string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var report junitReport
	if err := xml.Unmarshal(text, &report); err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	var got []string
	for _, suite := range report.Suites {
		got = append(got, fmt.Sprintf("%s %d/%d/%d/%d %s", filepath.Base(suite.Name), suite.Tests, suite.Failures, suite.Errors, suite.Skipped, suite.Time))
		for _, c := range suite.Cases {
			switch {
			case c.Failure != nil:
				got = append(got, c.Name+" failed "+c.Failure.Type)
			case c.Error != nil:
				got = append(got, c.Name+" error "+c.Error.Type)
			case c.Skipped != nil:
				got = append(got, c.Name+" skipped")
			default:
				got = append(got, c.Name)
			}
		}
	}
	want := []string{
		"good.yaml 2/0/0/0 1.300", "1 send", "2 expect",
		"bad.yaml 3/1/0/1 5.000", "1 send", "2 expect failed EVENT_MISSING", "3 drop skipped",
		"absent.yaml 1/0/1/0 0.000", "script error INSTANCE_NOT_FOUND",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the report is not as wanted (-want +got):\n%s\n%s", diff, text)
	}
}

// One broken file means that nothing is played: else a typo in one script makes
// the others run, and send, for nothing.
func TestABrokenScriptKeepsTheOthersFromBeingPlayed(t *testing.T) {
	s := serveSandbox(t, func(sandboxRequest) (int, string) { return 201, passedRun })
	exit, _, complaints := s.run("", "run", scriptFile(t, "good.yaml", orderScript), scriptFile(t, "bad.yaml", "steps:\n\t- drop"))
	if exit != exitUsage || len(s.asked) != 0 || !strings.Contains(complaints, "bad.yaml:2:1: ") {
		t.Errorf("exit = %d, asked %v, with\n%s", exit, s.asked, complaints)
	}
}
