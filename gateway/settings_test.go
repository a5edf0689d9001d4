package gateway

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"portaria/internal/fault"
	"portaria/messaging"
)

// refusedFields decodes a request and returns its refused fields as field:rule.
func refusedFields(t *testing.T, req any, call *Call, body string) (fields []string) {
	t.Helper()
	err := decodeBody([]byte(body), req, call)
	if err == nil {
		return nil
	}
	f := fault.As(err)
	if f == nil {
		t.Fatalf("%s: %v is no fault", body, err)
	}
	for _, field := range f.Details()["fields"].([]fault.Field) {
		fields = append(fields, field.Field+":"+field.Rule)
	}
	return fields
}

func TestSettingsAreStrict(t *testing.T) {
	const at = "settings.pace."
	for body, want := range map[string][]string{
		`{"settings":{"pace":{"min_gap_ms":-1,"per_hour":"x","wat":1},"mark_read":null,"history":true}}`: {
			at + "per_hour:type", at + "wat:unknown", "settings.history:unknown", at + "min_gap_ms:min",
		},
		`{"settings":{"pace":{"min_gap_ms":86400001,"jitter_ms":0,"per_hour":1000001,"per_day":9223372036854775807}}}`: {
			at + "min_gap_ms:max", at + "per_hour:max", at + "per_day:max",
		},
		`{"settings":{"pace":{"min_gap_ms":86400000,"per_hour":1000000,"per_day":10000000}}}`: nil,
		`{"settings":{"proxy_url":"ftp://proxy.example.com","pace":{"per_hour":-1}}}`:         {"settings.proxy_url:format", at + "per_hour:min"},
		`{"settings":{"proxy_url":7}}`:                                     {"settings.proxy_url:type"},
		`{"settings":{"proxy_url":"socks5://a:b@proxy.example.com:1080"}}`: nil,
		`{"settings":{"proxy_url":null}}`:                                  nil,
	} {
		if diff := cmp.Diff(want, refusedFields(t, new(updateInstance), testCall(messaging.Test), body)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", body, diff)
		}
	}
}

// Quiet hours that no clock shows, or of a place that is not on Earth, would be
// found out at night, by those who are woken.
func TestQuietHoursAreTimesOfAPlace(t *testing.T) {
	const at = "settings.pace.quiet_hours."
	for _, c := range []struct {
		quiet string
		want  []string
	}{
		{`{"from":"22:00","to":"08:00","time_zone":"America/Sao_Paulo"}`, nil},
		{`{"from":"00:00","to":"23:59","time_zone":"UTC"}`, nil},
		{`{"from":"99:99","to":"08:00","time_zone":"Mars"}`, []string{at + "from:format", at + "time_zone:format"}},
		{`{"from":"24:00","to":"8:00","time_zone":"Local"}`, []string{at + "from:format", at + "to:format", at + "time_zone:format"}},
		{`{"from":"22:00:00","to":"١٢:٠٠","time_zone":"../../etc/passwd"}`, []string{at + "from:format", at + "to:format", at + "time_zone:format"}},
		{`{"from":"22:00"}`, []string{at + "to:required", at + "time_zone:required"}},
		{`{"from":22,"to":"08:00","time_zone":"UTC"}`, []string{at + "from:type"}},
	} {
		body := `{"name":"a","settings":{"pace":{"quiet_hours":` + c.quiet + `}}}`
		if diff := cmp.Diff(c.want, refusedFields(t, new(createInstance), testCall(messaging.Test), body)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", body, diff)
		}
	}
}

// PATCH merges, so half of the quiet hours is enough where the other half is
// stored, and only there.
func TestAPatchOfQuietHoursIsCheckedAsItWillBe(t *testing.T) {
	const at = "settings.pace.quiet_hours."
	const whole = `{"pace":{"quiet_hours":{"from":"22:00","to":"08:00","time_zone":"UTC"}}}`
	for _, c := range []struct {
		stored, quiet string
		want          []string
	}{
		{whole, `{"to":"09:30"}`, nil},
		{whole, `{"to":"9:30"}`, []string{at + "to:format"}},
		{whole, `{"time_zone":null}`, []string{at + "time_zone:required"}},
		{whole, `null`, nil},
		{`{}`, `{"to":"09:30"}`, []string{at + "from:required", at + "time_zone:required"}},
		{``, `{"from":"22:00","to":"08:00","time_zone":"UTC"}`, nil},
		{`{"pace":7}`, `{"from":"22:00","to":"08:00","time_zone":"UTC"}`, nil},
	} {
		call := testCall(messaging.Test)
		call.Instance.Settings = []byte(c.stored)
		body := `{"settings":{"pace":{"quiet_hours":` + c.quiet + `}}}`
		if diff := cmp.Diff(c.want, refusedFields(t, new(updateInstance), call, body)); diff != "" {
			t.Errorf("%s over %s (-want +got):\n%s", body, c.stored, diff)
		}
	}
}

// Every fault of a new instance is told at once, its name's too.
func TestAllThatIsWrongWithANewInstanceIsTold(t *testing.T) {
	for body, want := range map[string][]string{
		`{"name":"ins_a","settings":{"pace":{"per_day":-1}}}`: {"name:pattern", "settings.pace.per_day:min"},
		`{"name":"Ω","sandbox":{}}`:                           {"name:pattern", "sandbox:environment"},
		`{}`:                                                  {"name:required"},
	} {
		if diff := cmp.Diff(want, refusedFields(t, new(createInstance), testCall(messaging.Live), body)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", body, diff)
		}
	}
}

// Whatever status a message may have, its event can be asked for.
func TestEveryEventOfAStatusIsAType(t *testing.T) {
	known := make(map[messaging.EventType]bool)
	for _, e := range messaging.EventTypes {
		if known[e] {
			t.Errorf("%s stands in the list twice", e)
		}
		known[e] = true
	}
	for _, status := range messaging.Statuses {
		if e, ok := messaging.MessageEvent(status); ok && !known[e] {
			t.Errorf("%s is not in the list", e)
		}
	}
}
