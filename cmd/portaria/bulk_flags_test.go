package main

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Who gave flags has not seen the API's fields. Programs get those.
func TestRefusedFieldsAreNamedByTheirFlags(t *testing.T) {
	const (
		zone  = `{"field":"time_zone","rule":"format","message":"must be a time zone"}`
		owned = `{"field":"quiet_hours.time_zone","rule":"format","message":"must be a time zone"}`
	)
	for _, c := range []struct{ name, flags, fields, columns, want string }{
		{
			"a column that is not there", "--map to=fone", `{"field":"mapping.to","rule":"not_found","message":"is not a column of the file"}`, `"phone","na\"me"`,
			`--map to=fone: the file has no column "fone"; the columns of the file are "phone", "na\"me"`,
		},
		{
			"no recipients", "", `{"field":"file","rule":"required","message":"has no column \"to\": name theirs, as mapping {\"to\":\"phone\"}"}`, `"phone"`,
			`file: has no column "to": name theirs, as --map to=phone; the columns of the file are "phone"`,
		},
		{"no CSV", "--map to=fone", `{"field":"mapping","rule":"requires","message":"is for CSV files"}`, "", "--map: is for CSV files"},
		{"one flag of two fields", "--time-zone X --quiet 21:00-08:00", zone + "," + owned, "", "--time-zone: must be a time zone"},
		{
			"quiet hours of nowhere", "--quiet 21:00-08:00", `{"field":"quiet_hours.time_zone","rule":"required","message":"is required, here or as time_zone of the bulk"}`, "",
			"--time-zone: is required with --quiet",
		},
		{"a time of day", "--quiet 25:00-8", `{"field":"quiet_hours.from","rule":"format","message":"is no time"},{"field":"quiet_hours.to","rule":"format","message":"is no time"}`, "", "--quiet: is no time"},
		{"a time", "--send-at now", `{"field":"send_at","rule":"time","message":"or without one beside time_zone"}`, "", "--send-at: or without one beside --time-zone"},
		{"a gap", "--min-gap 9h", `{"field":"pace.min_gap_ms","rule":"max","message":"must be at most 5"}`, "", "--min-gap: must be at most 5 milliseconds"},
		{"a jitter", "--jitter 9h", `{"field":"pace.jitter_ms","rule":"max","message":"must be at most 5"}`, "", "--jitter: must be at most 5 milliseconds"},
		{"an hour", "--per-hour 9", `{"field":"pace.per_hour","rule":"max","message":"must be at most 5"}`, "", "--per-hour: must be at most 5"},
		{"a window", "--dedupe-window 99d", `{"field":"dedupe_window","rule":"range","message":"is too long"}`, "", "--dedupe-window: is too long"},
		{"a cap", "--frequency-cap 0/7d", `{"field":"frequency_cap.max","rule":"range","message":"is too small"}`, "", "--frequency-cap: is too small"},
		{"a name", "--name X", `{"field":"name","rule":"max_length","message":"is too long"}`, "", "--name: is too long"},
		{"instances", "--instance a --instance b", `{"field":"instances","rule":"length","message":"are too many"}`, "", "--instance: are too many"},
		{"a template", "", `{"field":"message.text","rule":"format","message":"is broken"}`, "", "--template: is broken"},
		{"a message", "--message {}", `{"field":"message.image.url","rule":"required","message":"is required"}`, "", "--message: image.url: is required"},
		{"a row is left as it is", "", `{"field":"file","rule":"missing_variable","message":"row 1, column time_zone: none"}`, "", "file: row 1, column time_zone: none"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := serveBulks(t)
			s.upload = reply{http.StatusUnprocessableEntity, refusedWith("VALIDATION_FAILED", `"fields":[`+c.fields+`],"columns":[`+c.columns+`]`)}
			args := append([]string{"bulk", "send", contactsFile(t, "a.csv", contacts), "--json"}, strings.Fields(c.flags)...)
			if !strings.Contains(c.flags, "--message") {
				args = append(args, "--template", "Hi")
			}
			for _, flag := range []string{"--no-wait", "--dry-run"} {
				exit, out, complaints := s.run(t.Context(), append(args, flag)...)
				if want := "portaria: No. " + c.want + " (VALIDATION_FAILED)\n"; exit != exitFailed || complaints != want {
					t.Errorf("%s: exit = %d and\n%swant\n%s", flag, exit, complaints, want)
				}
				var got struct {
					Error struct {
						Details struct {
							Fields json.RawMessage `json:"fields"`
						} `json:"details"`
					} `json:"error"`
				}
				if err := json.Unmarshal([]byte(out), &got); err != nil || !sameJSON(t, string(got.Error.Details.Fields), "["+c.fields+"]") {
					t.Errorf("%s: programs are told (%v)\n%s", flag, err, out)
				}
			}
		})
	}
}

func sameJSON(t *testing.T, a, b string) bool {
	t.Helper()
	var one, other []map[string]string
	if err := errors.Join(json.Unmarshal([]byte(a), &one), json.Unmarshal([]byte(b), &other)); err != nil {
		t.Fatal(err)
	}
	return cmp.Equal(one, other)
}
