package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// What a bulk came to is its exit code, and people are told how to go on.
func TestWatchEndsAsTheBulkDid(t *testing.T) {
	const header = "row,to,wa_id,status,error_code,error_message,message_id,name\n"
	for _, c := range []struct {
		name, state, counts string
		failed, skipped     string // rows of the tables
		exit                int
		out                 string
		says                string
	}{
		{
			"well", "completed", `"total":3,"read":3`, "", "",
			exitDone, "completed, 3 recipients: 0 sent, 0 delivered, 3 read, 0 failed, 0 skipped\n", "",
		},
		{
			"with some who opted out", "completed", `"total":3,"sent":1,"skipped":2`, "", "2,a,b,skipped,OPTED_OUT,,,\n3,a,b,skipped,DUPLICATE,,,\n",
			exitDone, "completed, 3 recipients: 1 sent, 0 delivered, 0 read, 0 failed, 2 skipped\n  skipped: 1 DUPLICATE, 1 OPTED_OUT\n", "",
		},
		{
			"with failures", "completed", `"total":3,"failed":3`, "1,a,b,failed,NOT_ON_WHATSAPP,\"a, b\",,\n2,a,b,failed,NOT_ON_WHATSAPP,,,\n3,a,b,expired,EXPIRED_IN_QUEUE,,,\n", "",
			exitFailed, "completed, 3 recipients: 0 sent, 0 delivered, 0 read, 3 failed, 0 skipped\n  failed: 1 EXPIRED_IN_QUEUE, 2 NOT_ON_WHATSAPP\n",
			"portaria: 3 failed: GET /v1/bulk/" + bulkID + "/recipients?status=failed lists them, POST /v1/bulk/" + bulkID + "/retry-failed tries them again\n",
		},
		{
			"with rows that could not be sent to", "completed", `"total":3,"read":1,"skipped":2`, "", "2,a,,skipped,INVALID_RECIPIENT,,,\n3,a,,skipped,MISSING_VARIABLE,,,\n",
			exitFailed, "completed, 3 recipients: 0 sent, 0 delivered, 1 read, 0 failed, 2 skipped\n  skipped: 1 INVALID_RECIPIENT, 1 MISSING_VARIABLE\n",
			"portaria: 2 could not be sent to: GET /v1/bulk/" + bulkID + "/recipients?status=skipped lists them\n",
		},
		{
			"with both", "completed", `"total":2,"failed":1,"skipped":1`, "1,a,b,failed,PROVIDER_ERROR,,,\n", "2,a,,skipped,TEXT_TOO_LONG,,,\n",
			exitFailed, "completed, 2 recipients: 0 sent, 0 delivered, 0 read, 1 failed, 1 skipped\n  failed: 1 PROVIDER_ERROR\n  skipped: 1 TEXT_TOO_LONG\n",
			"portaria: 1 failed and 1 could not be sent to: GET ",
		},
		{
			"canceled", "canceled", `"total":3,"sent":1,"canceled":2`, "", "",
			exitFailed, "canceled, 3 recipients: 1 sent, 0 delivered, 0 read, 0 failed, 0 skipped, 2 canceled\n",
			"portaria: the bulk was canceled: 2 of 3 recipients get nothing\n",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := serveBulks(t)
			s.looks = []reply{{http.StatusOK, answered(bulkJSON(c.state, c.counts))}}
			s.tables = map[string]string{"failed": header + c.failed, "skipped": header + c.skipped}
			exit, out, complaints := s.run(t.Context(), "bulk", "watch", bulkID)
			if exit != c.exit || out != bulkID+": "+c.out || !strings.Contains(complaints, c.says) {
				t.Errorf("exit = %d with\n%s\nand\n%s", exit, out, complaints)
			}
			exit, out, _ = s.run(t.Context(), "bulk", "watch", bulkID, "--json")
			if exit != c.exit || strings.Count(out, `"id"`) != 1 || !strings.Contains(out, `"a_later_member": 1`) {
				t.Errorf("with --json: exit = %d and\n%s\nwant the bulk as it was answered", exit, out)
			}
		})
	}
}

// looking is a watcher whose looks are answered without a network, for tests
// whose clock is not the machine's.
func looking(answer func(n int) (status int, body string, err error)) (*bulkWatcher, *bytes.Buffer) {
	var said bytes.Buffer
	api := &apiClient{base: "http://portaria.test", token: "sk_test_x"}
	looks := 0
	api.http.Transport = roundTrip(func(*http.Request) (*http.Response, error) {
		looks++
		status, body, err := answer(looks)
		if err != nil {
			return nil, err
		}
		return &http.Response{StatusCode: status, Header: http.Header{"Retry-After": {"7"}}, Body: io.NopCloser(strings.NewReader(body))}, nil
	})
	return newBulkWatcher(api, bulkID, &progressLines{out: &said}), &said
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

var errConnection = errors.New("connection refused")

// A server that restarts is no reason to stop watching; one that stays away is.
func TestAServerThatRestartsIsWaitedFor(t *testing.T) {
	for _, c := range []struct {
		name  string
		away  time.Duration
		how   func() (int, string, error)
		fails bool
	}{
		{"nobody listens", 50 * time.Second, func() (int, string, error) { return 0, "", errConnection }, false},
		{"it is stopping", 50 * time.Second, func() (int, string, error) { return 503, refusedWith("SHUTTING_DOWN", ""), nil }, false},
		{"a proxy answers for it", 50 * time.Second, func() (int, string, error) { return 502, "<html>", nil }, false},
		{"too many requests", 50 * time.Second, func() (int, string, error) { return 429, refusedWith("RATE_LIMITED", ""), nil }, false},
		{"it stays away", 2 * time.Minute, func() (int, string, error) { return 0, "", errConnection }, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				w, said := looking(func(n int) (int, string, error) {
					switch away := time.Since(began); {
					case n == 1:
						return 200, answered(bulkJSON("running", `"total":3,"queued":3`)), nil
					case away < c.away:
						return c.how()
					default:
						return 200, answered(bulkJSON("completed", `"total":3,"read":3`)), nil
					}
				})
				err := w.follow(t.Context())
				if (err != nil) != c.fails {
					t.Errorf("follow = %v after %s", err, time.Since(began))
				}
				if took := time.Since(began); c.fails && (took < bulkPatience || took > bulkPatience+2*answerGrace) {
					t.Errorf("it gave up after %s", took)
				}
				if got := strings.Count(said.String(), "waiting for it"); got != 1 {
					t.Errorf("it says %d times that it waits; want once:\n%s", got, said)
				}
			})
		})
	}
}

// What the server refuses for good is not asked for again.
func TestWatchingEndsWhenItIsRefused(t *testing.T) {
	for status, code := range map[int]string{401: "UNAUTHORIZED", 404: "NOT_FOUND"} {
		synctest.Test(t, func(t *testing.T) {
			asked := 0
			w, _ := looking(func(n int) (int, string, error) {
				asked = n
				return status, refusedWith(code, ""), nil
			})
			if err := w.follow(t.Context()); describe(err).Code != code || asked != 1 {
				t.Errorf("follow = %v after %d looks; want %s after one", err, asked, code)
			}
		})
	}
}

// A bulk that waits for its hour must not cost its key a request each moment.
func TestABulkThatStandsStillIsLookedAtRarely(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		looks := 0
		w, _ := looking(func(n int) (int, string, error) {
			looks = n
			return 200, answered(bulkJSON("paused", `"total":3,"queued":3`)), nil
		})
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		defer cancel()
		if err := w.follow(ctx); !errors.Is(err, errDetached) {
			t.Errorf("follow = %v", err)
		}
		if looks > 130 {
			t.Errorf("it was looked at %d times in ten minutes", looks)
		}
	})
}

// Logs are read later: a line for every change, never more than one a second,
// and the last state always.
func TestLinesAreWrittenWhereThereIsNoTerminal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const rows = 40
		w, said := looking(func(n int) (int, string, error) {
			if n >= rows {
				return 200, answered(bulkJSON("completed", fmt.Sprintf(`"total":%d,"sent":%d`, rows, rows))), nil
			}
			return 200, answered(bulkJSON("running", fmt.Sprintf(`"total":%d,"queued":%d,"sent":%d`, rows, rows-n, n))), nil
		})
		began := time.Now()
		if err := w.follow(t.Context()); err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSuffix(said.String(), "\n"), "\n")
		if most := int(time.Since(began)/lineEvery) + 2; len(lines) > most || len(lines) < most/2 {
			t.Errorf("%d lines in %s", len(lines), time.Since(began))
		}
		if want := "running: 1 of 40 done (1 sent, 0 delivered, 0 read, 0 failed, 0 skipped)"; !strings.HasPrefix(lines[0], want) {
			t.Errorf("the first line is %q", lines[0])
		}
		if want := "running: 11 of 40 done (11 sent, 0 delivered, 0 read, 0 failed, 0 skipped); 2/s, about 15s left"; !strings.Contains(said.String(), want) {
			t.Errorf("no line says %q:\n%s", want, said)
		}
		if want := "completed: 40 of 40 done (40 sent, 0 delivered, 0 read, 0 failed, 0 skipped)"; lines[len(lines)-1] != want {
			t.Errorf("the last line is %q", lines[len(lines)-1])
		}
	})
}

// On a terminal one line is drawn again and again, and ends with a line end.
func TestABarIsDrawnOnATerminal(t *testing.T) {
	var out bytes.Buffer
	p := &progressBar{out: &out}
	p.show(&bulkView{State: "running", Counts: bulkCounts{Total: 10, Queued: 6, Sent: 3, Failed: 1}}, "2/s, about 3s left")
	p.note("the server is away")
	p.show(&bulkView{State: "completed", Counts: bulkCounts{Total: 10, Sent: 9, Failed: 1}}, "")
	p.end()
	for _, want := range []string{"40%", "(4/10)", "running, 2/s, about 3s left; 1 failed", "\nportaria: ", "100%", "(10/10)", "completed; 1 failed"} {
		if !strings.Contains(strings.ReplaceAll(out.String(), "portaria: ", "\nportaria: "), want) {
			t.Errorf("it does not draw %q:\n%q", want, out.String())
		}
	}
	if !strings.HasSuffix(out.String(), "\n") || strings.Count(out.String(), "\n") != 2 {
		t.Errorf("it has other line ends than those of the note and the end:\n%q", out.String())
	}
}

func TestSpeedIsToldInWords(t *testing.T) {
	now := time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)
	sights := func(gone ...int64) (s speedometer) {
		for i, n := range gone {
			s.saw(now.Add(time.Duration(i-len(gone)+1)*10*time.Second), n, true)
		}
		return s
	}
	for _, c := range []struct {
		name  string
		speed speedometer
		bulk  bulkView
		want  string
	}{
		{"nothing known", sights(0), bulkView{State: "running", Counts: bulkCounts{Queued: 5}}, ""},
		{"the estimate alone", sights(0), bulkView{State: "running", Ends: now.Add(time.Minute)}, "about 1m0s left"},
		{"by its speed", sights(0, 20, 40), bulkView{State: "running", Counts: bulkCounts{Queued: 600}}, "2/s, about 5m0s left"},
		{"slowly", sights(0, 1, 2), bulkView{State: "running", Counts: bulkCounts{Queued: 6}}, "6/min, about 1m0s left"},
		{"of the last seconds alone", sights(0, 1000, 1020, 1040), bulkView{State: "running", Counts: bulkCounts{Queued: 20}}, "2/s, about 10s left"},
		{"by the server's estimate", sights(0, 20), bulkView{State: "running", Ends: now.Add(26*time.Hour + 90*time.Second)}, "2/s, about 26h1m left"},
		{"days", sights(0, 20), bulkView{State: "running", Ends: now.Add(75 * time.Hour)}, "2/s, about 3d3h left"},
		{"past its estimate", sights(0, 20), bulkView{State: "running", Ends: now.Add(-time.Hour)}, "2/s, moments left"},
		{"retried rows are no speed", sights(0, 20, 5), bulkView{State: "running"}, ""},
		{"scheduled", sights(0), bulkView{State: "scheduled", SendAt: now}, "begins at 2026-11-27T12:00:00.000Z"},
		{"paused", sights(0, 20), bulkView{State: "paused"}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, c.speed.words(now, &c.bulk)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
