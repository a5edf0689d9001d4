package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const contacts = "to,name\n+5511912340001,Ana\n+5511912340002,Bia\n+5511912340003,Cid\n"

func contactsFile(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// What the flags say must be what the API reads, and the file must come as it
// is.
func TestBulkSendUploadsWhatTheFlagsSay(t *testing.T) {
	for _, c := range []struct {
		name, me, file, flags string
		wantURL, want         string
		wantType              string
	}{
		{
			"the least", `[{"id":"ins_1"}]`, "a.csv", `--template|Olá {{name}}`,
			"/v1/instances/ins_1/bulk", `{"message":{"text":"Olá {{name}}"},"dedupe":true}`, "text/csv",
		},
		{
			"an instance", `null`, "a.csv", `--template|Hi|--instance|shop`,
			"/v1/instances/shop/bulk", `{"message":{"text":"Hi"},"dedupe":true}`, "text/csv",
		},
		{
			"several instances", `null`, "a.csv", `--template|Hi|--instance|shop|--instance|desk`,
			"/v1/bulk", `{"instances":["shop","desk"],"message":{"text":"Hi"},"dedupe":true}`, "text/csv",
		},
		{
			"lines of JSON", `[{"id":"ins_1"}]`, "a.NDJSON", `--template|Hi`,
			"/v1/instances/ins_1/bulk", `{"message":{"text":"Hi"},"dedupe":true}`, "application/x-ndjson",
		},
		{
			"a message of another kind", `[{"id":"ins_1"}]`, "a.csv", `--message|{"location": {"latitude": -23.5, "longitude": -46.6}}`,
			"/v1/instances/ins_1/bulk", `{"message":{"location":{"latitude":-23.5,"longitude":-46.6}},"dedupe":true}`, "text/csv",
		},
		{
			"everything", `[{"id":"ins_1"}]`, "a.csv",
			`--template|Hi|--name|Black Friday|--map|to=phone|--map|name=Nome; e sobrenome|--send-at|2026-11-27T09:00:00|--time-zone|America/Sao_Paulo|` +
				`--min-gap|2s|--jitter|500ms|--per-hour|100|--quiet|21:00-08:00|--no-dedupe|--dedupe-window|7d|--frequency-cap|2/7d|--on-invalid|skip|--priority|normal`,
			"/v1/instances/ins_1/bulk",
			`{"name":"Black Friday","message":{"text":"Hi"},"mapping":{"to":"phone","name":"Nome; e sobrenome"},"send_at":"2026-11-27T09:00:00",` +
				`"time_zone":"America/Sao_Paulo","pace":{"min_gap_ms":2000,"jitter_ms":500,"per_hour":100},` +
				`"quiet_hours":{"from":"21:00","to":"08:00","time_zone":"America/Sao_Paulo"},"dedupe":false,"dedupe_window":"7d",` +
				`"frequency_cap":{"max":2,"per":"7d"},"on_invalid":"skip","priority":"normal"}`, "text/csv",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := serveBulks(t)
			s.me = c.me
			args := append([]string{"bulk", "send", contactsFile(t, c.file, contacts), "--no-wait", "--idempotency-key", "once"}, strings.Split(c.flags, "|")...)
			exit, out, complaints := s.run(t.Context(), args...)
			if exit != exitDone || out != bulkID+": running, 3 recipients\n" {
				t.Fatalf("exit = %d with %q and\n%s", exit, out, complaints)
			}
			got := s.uploads()[0]
			if got.URL != c.wantURL || got.Key != "once" || got.Length <= int64(len(contacts)) || got.Parts["file"] != contacts || got.Types["file"] != c.wantType {
				t.Errorf("uploaded %+v", got)
			}
			var options, want any
			if err := json.Unmarshal([]byte(got.Parts["message"]), &options); err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal([]byte(c.want), &want); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, options); diff != "" {
				t.Errorf("options (-want +got):\n%s", diff)
			}
		})
	}
}

func TestBulkSendReadsTheMessageFromAFile(t *testing.T) {
	s := serveBulks(t)
	message := contactsFile(t, "message.json", "{\n  \"text\": \"Olá\"\n}\n")
	if exit, _, complaints := s.run(t.Context(), "bulk", "send", contactsFile(t, "a.csv", contacts), "--no-wait", "--message", "@"+message); exit != exitDone {
		t.Fatalf("exit = %d and\n%s", exit, complaints)
	}
	if got := s.uploads()[0].Parts["message"]; got != `{"message":{"text":"Olá"},"dedupe":true}` {
		t.Errorf("options = %s", got)
	}
}

func TestBulkCommandsRefuseFlagsThatCannotBeUsed(t *testing.T) {
	s := serveBulks(t)
	s.me = `[{"id":"ins_1"},{"id":"ins_2"}]`
	file, large := contactsFile(t, "a.csv", contacts), contactsFile(t, "large.csv", "")
	if err := os.Truncate(large, maxUpload+1); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ flags, want string }{
		{"send " + file, "--template"},
		{"send " + file + " --template a --message {}", "--message"},
		{"send " + file + " --message []", "--message"},
		{"send " + file + " --message @/nowhere", "--message"},
		{"send /nowhere.csv --template a", "FILE"},
		{"send " + filepath.Dir(file) + " --template a", "FILE"},
		{"send " + large + " --template a", "25 MiB"},
		{"send " + file + " --template a --quiet 21:00", "--quiet"},
		{"send " + file + " --template a --frequency-cap 2", "--frequency-cap"},
		{"send " + file + " --template a --frequency-cap two/7d", "--frequency-cap"},
		{"send " + file + " --template a --min-gap 2", "--min-gap"},
		{"send " + file + " --template a --on-invalid ignore", "--on-invalid"},
		{"send " + file + " --template a", "--instance"},
		{"watch key_1", "<id>"},
	} {
		t.Run(c.flags, func(t *testing.T) {
			exit, out, complaints := s.run(t.Context(), append([]string{"bulk"}, strings.Fields(c.flags)...)...)
			if exit != exitUsage || !strings.Contains(complaints, c.want) || out != "" {
				t.Errorf("exit = %d with %q and\n%s\nwant 2 and a sentence on %s", exit, out, complaints, c.want)
			}
		})
	}
	if n := len(s.uploads()); n != 0 {
		t.Errorf("%d uploads were made", n)
	}
}

// Whoever repaired one row of a thousand wants to see which are left, and not a
// wall of them.
func TestRefusedRowsAreShownOneALine(t *testing.T) {
	var fields []string
	for row := 1; row <= 30; row++ {
		fields = append(fields, fmt.Sprintf(`{"field":"file","rule":"invalid_recipient","message":"row %d (line %d), column to: is no number"}`, row, row+1))
	}
	s := serveBulks(t)
	s.upload = reply{http.StatusUnprocessableEntity, refusedWith("VALIDATION_FAILED", `"rows":5000,"invalid":1234,"fields":[`+strings.Join(fields, ",")+`]`)}
	for _, flag := range []string{"--no-wait", "--dry-run"} {
		exit, out, complaints := s.run(t.Context(), "bulk", "send", contactsFile(t, "a.csv", contacts), "--template", "Hi", flag, "--json")
		lines := strings.Split(strings.TrimSuffix(complaints, "\n"), "\n")
		if exit != exitFailed || len(lines) != 22 || lines[0] != "row 1 (line 2), column to: is no number" ||
			lines[20] != "and 1214 more" || lines[21] != "portaria: No. (VALIDATION_FAILED)" {
			t.Errorf("%s: exit = %d and\n%s", flag, exit, complaints)
		}
		if !strings.Contains(out, "row 30 ") || !json.Valid([]byte(out)) {
			t.Errorf("%s: the JSON does not have all rows:\n%s", flag, out)
		}
	}
}

// A single fault stands in the sentence.
func TestOneFaultIsToldInTheSentence(t *testing.T) {
	s := serveBulks(t)
	s.upload = reply{http.StatusUnprocessableEntity, refusedWith("VALIDATION_FAILED", `"fields":[{"field":"file","rule":"not_utf8","message":"row 2 (line 3), column name: Latin-1"}]`)}
	_, _, complaints := s.run(t.Context(), "bulk", "send", contactsFile(t, "a.csv", contacts), "--template", "Hi")
	if want := "portaria: No. file: row 2 (line 3), column name: Latin-1 (VALIDATION_FAILED)\n"; complaints != want {
		t.Errorf("said %q; want %q", complaints, want)
	}
}

// A connection that dies during the upload leaves it open whether the bulk is
// there: to send it again under another key would send it twice.
func TestALostUploadCanBeRepeated(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			fmt.Fprint(w, answered(`{"instances":[{"id":"ins_1"}]}`))
			return
		}
		_, _ = io.Copy(io.Discard, r.Body)
		panic(http.ErrAbortHandler)
	}))
	t.Cleanup(server.Close)
	s := &bulkServer{Server: server}
	exit, _, complaints := s.run(t.Context(), "bulk", "send", contactsFile(t, "a.csv", contacts), "--template", "Hi", "--idempotency-key", "friday")
	if exit != exitFailed || !strings.Contains(complaints, "--idempotency-key friday: nothing is sent twice") || !strings.Contains(complaints, "SERVER_UNREACHABLE") {
		t.Errorf("exit = %d and\n%s", exit, complaints)
	}
	if _, _, complaints = s.run(t.Context(), "bulk", "send", contactsFile(t, "a.csv", contacts), "--template", "Hi"); !strings.Contains(complaints, "--idempotency-key cli-") {
		t.Errorf("without a key of one's own:\n%s", complaints)
	}
}

func TestRehearsalsAreTold(t *testing.T) {
	const rehearsal = `{"accepted":%t,"total":5,"valid":3,"invalid":1,"skipped":1,"outcomes":{"read":2,"NOT_ON_WHATSAPP":1,"DUPLICATE":1,"INVALID_RECIPIENT":1},
		"faults":[{"row":2,"line":3,"column":"to","code":"INVALID_RECIPIENT","message":"is no number"}],
		"starts_at":"2026-11-27T09:00:00.000Z","ends_at":"2026-11-27T09:01:30.000Z","duration_seconds":90,"tokens":{"requests":2,"messages":0}}`
	for _, c := range []struct {
		accepted bool
		exit     int
	}{{true, exitDone}, {false, exitFailed}} {
		s := serveBulks(t)
		s.upload = reply{http.StatusOK, answered(fmt.Sprintf(rehearsal, c.accepted))}
		exit, out, complaints := s.run(t.Context(), "bulk", "send", contactsFile(t, "a.csv", contacts), "--template", "Hi", "--dry-run")
		if exit != c.exit {
			t.Errorf("exit = %d and\n%s; want %d", exit, complaints, c.exit)
		}
		for _, line := range []string{"ROWS +5", "would be sent +3", "  NOT_ON_WHATSAPP +1", "begins +2026-11-27T09:00:00.000Z", "ends +2026-11-27T09:01:30.000Z, after 1m30s", "request tokens +2", `row 2 \(line 3\), column to: is no number`} {
			if !regexp.MustCompile(`(?m)^` + line + `$`).MatchString(out) {
				t.Errorf("it does not say %q:\n%s", line, out)
			}
		}
		if got := s.uploads()[0]; got.URL != "/v1/instances/ins_1/bulk?dry_run=true" || got.Key != "" {
			t.Errorf("asked for %s with the key %q", got.URL, got.Key)
		}
		if exit, out, _ = s.run(t.Context(), "bulk", "send", contactsFile(t, "a.csv", contacts), "--template", "Hi", "--dry-run", "--json"); exit != c.exit || !json.Valid([]byte(out)) {
			t.Errorf("with --json: exit = %d and %s", exit, out)
		}
	}
}

// The largest bulk is 25 MiB, and the command line runs on small machines too.
func TestAnUploadIsNotHeldInMemory(t *testing.T) {
	const size = 24 << 20
	file := contactsFile(t, "a.csv", "")
	if err := os.Truncate(file, size); err != nil {
		t.Fatal(err)
	}
	var came int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		came, _ = io.Copy(io.Discard, r.Body)
		write(w, reply{http.StatusAccepted, answered(bulkJSON("running", `"total":3`))})
	}))
	t.Cleanup(server.Close)
	api, err := newAPIClient(server.URL, "sk_test_x", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	upload, err := openUpload(t.Context(), file, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer upload.close()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err = upload.post(t.Context(), api, "/v1/bulk", "")
	runtime.ReadMemStats(&after)
	if err != nil || came <= size {
		t.Fatalf("post = %v after %d bytes", err, came)
	}
	if took := after.TotalAlloc - before.TotalAlloc; took > 4<<20 {
		t.Errorf("%d bytes were allocated", took)
	}
}

// What another program writes can be sent as it comes: its size is not known.
func TestAPipeCanBeSent(t *testing.T) {
	s := serveBulks(t)
	pipe := filepath.Join(t.TempDir(), "rows.csv")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	wrote := make(chan error, 1)
	go func() { wrote <- os.WriteFile(pipe, []byte(contacts), 0) }()
	exit, _, complaints := s.run(t.Context(), "bulk", "send", pipe, "--template", "Hi", "--no-wait")
	if err := <-wrote; err != nil || exit != exitDone {
		t.Fatalf("exit = %d, %v and\n%s", exit, err, complaints)
	}
	if got := s.uploads()[0]; got.Length != -1 || got.Parts["file"] != contacts {
		t.Errorf("uploaded %+v", got)
	}
}

// A key that may send and not read is not at fault: its bulk is under way.
func TestAKeyThatMayNotWatchEndsWell(t *testing.T) {
	s := serveBulks(t)
	s.looks = []reply{{http.StatusForbidden, refusedWith("INSUFFICIENT_SCOPE", `"required":["bulk:read"]`)}}
	exit, out, complaints := s.run(t.Context(), "bulk", "send", contactsFile(t, "a.csv", contacts), "--template", "Hi")
	if exit != exitDone || out != bulkID+": running, 3 recipients\n" || !strings.Contains(complaints, "bulk:read") {
		t.Errorf("exit = %d with %q and\n%s", exit, out, complaints)
	}
	if exit, _, _ = s.run(t.Context(), "bulk", "watch", bulkID); exit != exitFailed {
		t.Errorf("watching alone ends with %d; want 1", exit)
	}
}

// Ctrl-C is for the one who watches; the bulk is the server's.
func TestCtrlCLeavesTheBulkAlone(t *testing.T) {
	for _, flag := range []string{"--json", ""} {
		s := serveBulks(t)
		ctx, cancel := context.WithCancel(t.Context())
		s.looks = []reply{{http.StatusOK, answered(bulkJSON("running", `"total":3,"queued":2,"sent":1`))}}
		go func() {
			poll(patience, func() bool { return s.looksSoFar() > 0 })
			cancel()
		}()
		args := []string{"bulk", "send", contactsFile(t, "a.csv", contacts), "--template", "Hi"}
		if flag != "" {
			args = append(args, flag)
		}
		exit, out, complaints := s.run(ctx, args...)
		if exit != exitDone || !strings.Contains(complaints, "portaria bulk watch "+bulkID) || json.Valid([]byte(out)) != (flag != "") {
			t.Errorf("%s: exit = %d with %q and\n%s", flag, exit, out, complaints)
		}
		if n := len(s.uploads()); n != 1 {
			t.Errorf("%d posts were made; want the upload alone", n)
		}
	}
}
