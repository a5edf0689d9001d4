package auth

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"portaria/internal/fault"
	"portaria/messaging"
)

func TestScopesOpenWhatTheySayAndNothingElse(t *testing.T) {
	tests := []struct {
		written string
		opens   []Scope
	}{
		{"whatsapp:send", []Scope{WhatsAppSend}},
		{"whatsapp:read", []Scope{WhatsAppRead}},
		{"whatsapp:manage", []Scope{WhatsAppManage, WhatsAppRead}},
		{"whatsapp:*", []Scope{WhatsAppSend, WhatsAppManage, WhatsAppRead}},
		{"messages:read bulk:*", []Scope{MessagesRead, BulkWrite, BulkRead}},
		{"webhooks:manage", []Scope{WebhooksManage}},
		{"sandbox:*", []Scope{SandboxRun}},
		{"*", AllScopes},
	}
	for _, tt := range tests {
		set, err := ParseScopes(strings.Fields(tt.written), messaging.Test)
		if err != nil {
			t.Fatalf("%s: %v", tt.written, err)
		}
		var got []Scope
		for _, s := range AllScopes {
			if set.Has(s) {
				got = append(got, s)
			}
		}
		if diff := cmp.Diff(got, tt.opens); diff != "" {
			t.Errorf("%s opens (-got +want):\n%s", tt.written, diff)
		}
		if set.Has("keys:mint") {
			t.Errorf("%s opens a scope that does not exist", tt.written)
		}
	}
}

// A dashboard that showed the fifteen scopes of today for a key cut with *
// would hide that it opens those of tomorrow too.
func TestWildcardsAreShownAsWritten(t *testing.T) {
	set, err := ParseScopes([]string{"*", "chats:*", "whatsapp:send", "chats:*"}, messaging.Test)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(set.Strings(), []string{"whatsapp:send", "chats:*", "*"}); diff != "" {
		t.Errorf("(-got +want):\n%s", diff)
	}
	if set.Has(SandboxRun) != true {
		t.Error("* does not open every scope")
	}
}

func TestScopesAreRefused(t *testing.T) {
	tests := map[string]struct {
		names       []string
		environment messaging.Environment
		rules       []string
	}{
		"none":                     {nil, messaging.Test, []string{"required"}},
		"unknown":                  {[]string{"whatsapp:sned"}, messaging.Test, []string{"enum"}},
		"unknown resource":         {[]string{"keys:*"}, messaging.Test, []string{"enum"}},
		"empty name":               {[]string{""}, messaging.Test, []string{"enum"}},
		"upper case":               {[]string{"WhatsApp:Send"}, messaging.Test, []string{"enum"}},
		"two in one":               {[]string{"whatsapp:send whatsapp:read"}, messaging.Test, []string{"enum"}},
		"sandbox with a live key":  {[]string{"whatsapp:send", "sandbox:run"}, messaging.Live, []string{"environment"}},
		"sandbox:* with live":      {[]string{"sandbox:*"}, messaging.Live, []string{"environment"}},
		"every fault, not a first": {[]string{"a", "b"}, messaging.Live, []string{"enum", "enum"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := ParseScopes(tt.names, tt.environment)
			if !errors.Is(err, fault.ErrValidation) {
				t.Fatalf("error %v, want VALIDATION_FAILED", err)
			}
			if diff := cmp.Diff(rulesOf(t, err, "scopes"), tt.rules); diff != "" {
				t.Errorf("rules (-got +want):\n%s", diff)
			}
		})
	}
}

// rulesOf returns the rules that err names for a field.
func rulesOf(t *testing.T, err error, field string) (rules []string) {
	t.Helper()
	fields, ok := fault.As(err).Details()["fields"].([]fault.Field)
	if !ok {
		t.Fatalf("%v has no fields", err)
	}
	for _, f := range fields {
		if f.Field == field {
			rules = append(rules, f.Rule)
		}
	}
	return rules
}

// What is stored must mean the same when it is read again, and names that a
// newer version wrote must not open anything by accident.
func TestStoredScopesMeanTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		names := rapid.SliceOfN(rapid.SampledFrom(patterns), 1, 8).Draw(t, "names")
		set, err := ParseScopes(names, messaging.Test)
		if err != nil {
			t.Fatal(err)
		}
		if got := storedScopes(strings.Join(set.Strings(), " ") + " future:scope"); got != set {
			t.Fatalf("%v became %v", set.Strings(), got.Strings())
		}
	})
}
