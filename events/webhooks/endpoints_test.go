package webhooks_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portaria/events/webhooks"
	"portaria/internal/fault"
	"portaria/messaging"
)

func TestANewEndpointHearsOfEverything(t *testing.T) {
	w := newWorld(t)
	var claimed messaging.Webhook
	url := "https://127.0.0.1:8443/in?a=b"
	got, secret, err := w.endpoints.Create(t.Context(), w.tenancy, webhooks.Draft{
		Patch: webhooks.Patch{URL: &url, Description: pointer("mine")},
		ClaimFor: func(h messaging.Webhook) (*messaging.Claim, error) {
			claimed = h
			return &messaging.Claim{Scope: "scope"}, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := messaging.Webhook{
		ID: got.ID, WorkspaceID: "wsp_one", Environment: messaging.Test, URL: url, Description: "mine",
		Events: []string{"*"}, Chats: messaging.AllChats, Enabled: true, CreatedAt: w.clock.Now(),
	}
	for what, hook := range map[string]messaging.Webhook{"answered": got, "claimed": claimed, "stored": w.find(got.ID)} {
		if diff := cmp.Diff(want, hook); diff != "" {
			t.Errorf("%s: %s", what, diff)
		}
	}
	if !messaging.ValidID(messaging.WebhookPrefix, got.ID) || w.memory.claims[0].Scope != "scope" {
		t.Errorf("id %s, claim %+v", got.ID, w.memory.claims[0])
	}
	stored := w.memory.endpoints[0]
	if strings.Contains(stored.Secret, secret.Reveal()) || !strings.HasPrefix(stored.Secret, "sealed:") {
		t.Errorf("the secret is stored as %s", stored.Secret)
	}
	if text, err := w.box.Open(stored.Secret, "webhook", "wsp_one", "test", got.ID); err != nil || string(text) != secret.Reveal() {
		t.Errorf("it opens to something else: %v", err)
	}
}

// What no endpoint may be is refused, with the name of the field as requests
// have it, when it is made and when it is changed.
func TestWhatNoEndpointMayBe(t *testing.T) {
	w := newWorld(t)
	hook := w.webhook("http://127.0.0.1/")
	long := func(n int) string { return strings.Repeat("x", n) }
	waits := func(n int, wait time.Duration) *[]time.Duration {
		return pointer(slices.Repeat([]time.Duration{wait}, n))
	}
	for name, c := range map[string]struct {
		patch webhooks.Patch
		field string
	}{
		"no URL":               {webhooks.Patch{URL: pointer("")}, "url"},
		"relative":             {webhooks.Patch{URL: pointer("/in")}, "url"},
		"opaque":               {webhooks.Patch{URL: pointer("https:example.com")}, "url"},
		"no host":              {webhooks.Patch{URL: pointer("https://:443/")}, "url"},
		"a password":           {webhooks.Patch{URL: pointer("https://a:b@example.com/")}, "url"},
		"a fragment":           {webhooks.Patch{URL: pointer("https://example.com/#a")}, "url"},
		"an empty fragment":    {webhooks.Patch{URL: pointer("https://example.com/#")}, "url"},
		"port 0":               {webhooks.Patch{URL: pointer("https://example.com:0/")}, "url"},
		"port 65536":           {webhooks.Patch{URL: pointer("https://example.com:65536/")}, "url"},
		"an empty port":        {webhooks.Patch{URL: pointer("https://example.com:/")}, "url"},
		"no URL at all":        {webhooks.Patch{URL: pointer("https://exa mple.com/\x7f")}, "url"},
		"a long URL":           {webhooks.Patch{URL: pointer("https://example.com/" + long(2029))}, "url"},
		"a long description":   {webhooks.Patch{Description: pointer(long(257))}, "description"},
		"a broken description": {webhooks.Patch{Description: pointer("\xff")}, "description"},
		"no events":            {webhooks.Patch{Events: pointer([]string{})}, "events"},
		"too many events":      {webhooks.Patch{Events: pointer(slices.Repeat([]string{"*"}, 51))}, "events"},
		"an unknown type":      {webhooks.Patch{Events: pointer([]string{"message.*", "message.seen"})}, "events[1]"},
		"an unknown family":    {webhooks.Patch{Events: pointer([]string{"messages.*"})}, "events[0]"},
		"a half family":        {webhooks.Patch{Events: pointer([]string{"mess*"})}, "events[0]"},
		"tests":                {webhooks.Patch{Events: pointer([]string{"webhook.test"})}, "events[0]"},
		"no instances":         {webhooks.Patch{Instances: pointer([]string{})}, "instances"},
		"other chats":          {webhooks.Patch{Chats: pointer(messaging.Chats("private"))}, "chats"},
		"51 tries":             {webhooks.Patch{MaxAttempts: pointer(51)}, "retry_policy.max_attempts"},
		"fewer than none":      {webhooks.Patch{MaxAttempts: pointer(-1)}, "retry_policy.max_attempts"},
		"no waits":             {webhooks.Patch{Schedule: pointer([]time.Duration{})}, "retry_policy.schedule"},
		"51 waits":             {webhooks.Patch{Schedule: waits(51, 0)}, "retry_policy.schedule"},
		"a long wait":          {webhooks.Patch{Schedule: waits(1, webhooks.MaxWait+1)}, "retry_policy.schedule[0]"},
		"a wait into the past": {webhooks.Patch{Schedule: waits(1, -1)}, "retry_policy.schedule[0]"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := w.endpoints.Update(t.Context(), w.tenancy, hook.ID, c.patch)
			expectField(t, err, c.field)
			if c.patch.URL == nil {
				c.patch.URL = pointer("http://127.0.0.1/")
			}
			_, _, err = w.endpoints.Create(t.Context(), w.tenancy, webhooks.Draft{Patch: c.patch})
			expectField(t, err, c.field)
		})
	}
	_, _, err := w.endpoints.Create(t.Context(), w.tenancy, webhooks.Draft{})
	expectField(t, err, "url")
	if diff := cmp.Diff(hook, w.find(hook.ID)); diff != "" {
		t.Errorf("it was changed: %s", diff)
	}
}

func expectField(t *testing.T, err error, field string) {
	t.Helper()
	if !errors.Is(err, fault.ErrValidation) {
		t.Fatalf("error = %v", err)
	}
	fields := fault.As(err).Details()["fields"].([]fault.Field)
	if len(fields) != 1 || fields[0].Field != field {
		t.Errorf("fields = %+v, want %s", fields, field)
	}
}

// What lies at the bounds is taken.
func TestTheBoundsAreInside(t *testing.T) {
	w := newWorld(t)
	hook := w.webhook("https://127.0.0.1:65535/"+strings.Repeat("x", 2048-len("https://127.0.0.1:65535/")), func(p *webhooks.Patch) {
		p.Description = pointer(strings.Repeat("é", 256))
		p.Events = pointer([]string{"message.*", "call.received", "instance.banned", "message.*", "bulk.completed"})
		p.Instances = pointer([]string{"ins_b", "ins_a", "ins_b"})
		p.Chats, p.Ordered, p.Enabled = pointer(messaging.GroupChats), pointer(true), pointer(false)
		p.MaxAttempts = pointer(50)
		p.Schedule = pointer(slices.Repeat([]time.Duration{webhooks.MaxWait}, 50))
	})
	if diff := cmp.Diff([][]string{{"message.*", "call.received", "instance.banned", "bulk.completed"}, {"ins_b", "ins_a"}}, [][]string{hook.Events, hook.Instances}); diff != "" {
		t.Error(diff)
	}
	all := w.update(hook.ID, webhooks.Patch{Instances: pointer([]string(nil)), Schedule: pointer([]time.Duration(nil)), MaxAttempts: pointer(0)})
	if all.Instances != nil || all.Schedule != nil || all.MaxAttempts != 0 || all.Description != hook.Description {
		t.Errorf("endpoint = %+v", all)
	}
}

func TestURLsThatLeadInsideAreRefused(t *testing.T) {
	w := newWorld(t)
	for _, url := range []string{"https://10.0.0.1/", "https://169.254.169.254/latest", "https://[::1]/", "https://[::ffff:127.0.0.1]/", "https://0x7f.1/", "ftp://127.0.0.1/"} {
		if _, _, err := w.endpoints.Create(t.Context(), w.tenancy, webhooks.Draft{Patch: webhooks.Patch{URL: &url}}); !errors.Is(err, webhooks.ErrURLNotAllowed) {
			t.Errorf("%s: %v", url, err)
		}
	}
	strict, err := webhooks.New(webhooks.Options{Store: w.memory, Box: w.box, Guard: w.guard, Now: func(messaging.Tenancy) time.Time { return w.clock.Now() }})
	if err != nil {
		t.Fatal(err)
	}
	hook := w.webhook("http://127.0.0.1/")
	if _, err := strict.Update(t.Context(), w.tenancy, hook.ID, webhooks.Patch{URL: pointer("http://127.0.0.1/")}); !errors.Is(err, webhooks.ErrURLNotAllowed) {
		t.Errorf("plain HTTP: %v", err)
	}
}

// A caller who is locked to some instances hears of these alone, and sees only
// endpoints that hear of no other.
func TestLockedCallersHearOfTheirInstancesAlone(t *testing.T) {
	w := newWorld(t)
	locked := messaging.NewTenancy("wsp_one", messaging.Test, messaging.OnlyInstances("ins_a", "ins_b"))
	url := pointer("http://127.0.0.1/")
	create := func(p webhooks.Patch) (messaging.Webhook, error) {
		p.URL = url
		hook, _, err := w.endpoints.Create(t.Context(), locked, webhooks.Draft{Patch: p})
		return hook, err
	}
	own, err := create(webhooks.Patch{})
	if err != nil || !slices.Equal(own.Instances, []string{"ins_a", "ins_b"}) {
		t.Errorf("by itself: %v, %v", own.Instances, err)
	}
	if one, err := create(webhooks.Patch{Instances: pointer([]string{"ins_b"})}); err != nil || !slices.Equal(one.Instances, []string{"ins_b"}) {
		t.Errorf("one of its own: %v, %v", one.Instances, err)
	}
	for _, instances := range [][]string{nil, {"ins_a", "ins_c"}} {
		if _, err := create(webhooks.Patch{Instances: &instances}); !errors.Is(err, webhooks.ErrInstanceNotAllowed) {
			t.Errorf("%v: %v", instances, err)
		}
		if _, err := w.endpoints.Update(t.Context(), locked, own.ID, webhooks.Patch{Instances: &instances}); !errors.Is(err, webhooks.ErrInstanceNotAllowed) {
			t.Errorf("changed to %v: %v", instances, err)
		}
	}
	all := w.webhook("http://127.0.0.1/")
	if _, err := w.endpoints.Find(t.Context(), locked, all.ID); !errors.Is(err, fault.ErrNotFound) {
		t.Errorf("it sees another's: %v", err)
	}
	if list, err := w.endpoints.List(t.Context(), locked, messaging.Page{Limit: 10}); err != nil || len(list) != 2 || list[1].ID != own.ID {
		t.Errorf("it lists %+v, %v", list, err)
	}
}

// The old secret signs until the grace ends; a second rotation within it forgets
// the oldest.
func TestRotation(t *testing.T) {
	w := newWorld(t)
	hook, first := w.webhookWithSecret("http://127.0.0.1/")
	rotate := func(grace *time.Duration) (messaging.Webhook, webhooks.Secret) {
		t.Helper()
		hook, secret, err := w.endpoints.Rotate(t.Context(), w.tenancy, hook.ID, webhooks.Rotation{Grace: grace})
		if err != nil {
			t.Fatal(err)
		}
		return hook, secret
	}
	stored := func() (texts []string) {
		e := w.memory.endpoints[0]
		for _, sealed := range []string{e.Secret, e.PreviousSecret} {
			text, err := w.box.Open(sealed, "webhook", "wsp_one", "test", hook.ID)
			if err != nil && sealed != "" {
				t.Fatal(err)
			}
			texts = append(texts, string(text))
		}
		return texts
	}
	rotated, second := rotate(nil)
	if diff := cmp.Diff([]string{second.Reveal(), first.Reveal()}, stored()); diff != "" || !rotated.SecretRotatedUntil.Equal(w.clock.Now().Add(webhooks.DefaultGrace)) {
		t.Errorf("%s, until %v", diff, rotated.SecretRotatedUntil)
	}
	_, third := rotate(pointer(webhooks.MaxGrace))
	if diff := cmp.Diff([]string{third.Reveal(), second.Reveal()}, stored()); diff != "" {
		t.Error(diff)
	}
	rotated, fourth := rotate(pointer(time.Duration(0)))
	if diff := cmp.Diff([]string{fourth.Reveal(), ""}, stored()); diff != "" || !rotated.SecretRotatedUntil.IsZero() {
		t.Errorf("%s, until %v", diff, rotated.SecretRotatedUntil)
	}
	for _, grace := range []time.Duration{-1, webhooks.MaxGrace + 1} {
		_, _, err := w.endpoints.Rotate(t.Context(), w.tenancy, hook.ID, webhooks.Rotation{Grace: &grace})
		expectField(t, err, "grace")
	}
	failed := errors.New("no claim")
	_, _, err := w.endpoints.Rotate(t.Context(), w.tenancy, hook.ID, webhooks.Rotation{ClaimFor: func(messaging.Webhook) (*messaging.Claim, error) { return nil, failed }})
	if diff := cmp.Diff([]string{fourth.Reveal(), ""}, stored()); !errors.Is(err, failed) || diff != "" {
		t.Errorf("a failed claim: %v, %s", err, diff)
	}
}

func TestTestIsTriedAtOnce(t *testing.T) {
	w := newWorld(t)
	w.start()
	r := newReceiver(t, says(http500))
	hook := w.webhook(r.URL, func(p *webhooks.Patch) { p.Events = pointer([]string{"call.*"}) })
	d, err := w.endpoints.Test(t.Context(), w.tenancy, hook.ID)
	if err != nil || d.Attempts != 1 || d.State != webhooks.Pending || d.StatusCode != 500 || d.EventType != messaging.EventWebhookTest || !d.Direct {
		t.Errorf("delivery = %+v, %v", d, err)
	}
	w.update(hook.ID, webhooks.Patch{Enabled: pointer(false)})
	if _, err := w.endpoints.Test(t.Context(), w.tenancy, hook.ID); !errors.Is(err, webhooks.ErrDisabled) {
		t.Errorf("of a disabled one: %v", err)
	}
}

const http500 = 500

// What was delivered can be told again, under the same id.
func TestReplays(t *testing.T) {
	w := newWorld(t)
	w.start()
	r := newReceiver(t, says(http500))
	hook := w.webhook(r.URL)
	since := w.clock.Now()
	e := w.event("ins_a")
	w.idle()
	d := w.only(hook)
	if _, err := w.endpoints.Replay(t.Context(), w.tenancy, hook.ID, d.ID); !errors.Is(err, webhooks.ErrNotDelivered) {
		t.Errorf("while it is under way: %v", err)
	}
	r.setAnswer(nil)
	w.pass(10 * time.Second)
	again, err := w.endpoints.Replay(t.Context(), w.tenancy, hook.ID, d.ID)
	if err != nil || again.ID == d.ID || again.EventID != e.ID {
		t.Errorf("replay = %+v, %v", again, err)
	}
	replayed, err := w.endpoints.ReplayRange(t.Context(), w.tenancy, hook.ID, webhooks.Range{Since: since, All: true})
	if err != nil || replayed.Queued != 1 || replayed.More {
		t.Errorf("range = %+v, %v", replayed, err)
	}
	w.idle()
	if diff := cmp.Diff([]string{e.ID, e.ID, e.ID, e.ID}, r.ids()); diff != "" {
		t.Error(diff)
	}
	list, err := w.endpoints.Deliveries(t.Context(), w.tenancy, hook.ID, webhooks.DeliveryFilter{}, messaging.Page{Limit: 10})
	if err != nil || len(list) != 3 || list[1].ID != again.ID {
		t.Errorf("deliveries = %+v, %v", list, err)
	}
	_, err = w.endpoints.ReplayRange(t.Context(), w.tenancy, hook.ID, webhooks.Range{})
	expectField(t, err, "since")
	_, err = w.endpoints.ReplayRange(t.Context(), w.tenancy, hook.ID, webhooks.Range{Since: since, Until: since.Add(-1)})
	expectField(t, err, "until")
}

// Nobody sees, changes or tells anything of an endpoint of another world.
func TestAnotherWorldsEndpointsAreAbsent(t *testing.T) {
	w := newWorld(t)
	hook := w.webhook("http://127.0.0.1/")
	live, ctx := messaging.NewTenancy("wsp_one", messaging.Live, messaging.AllInstances()), t.Context()
	_, find := w.endpoints.Find(ctx, live, hook.ID)
	_, update := w.endpoints.Update(ctx, live, hook.ID, webhooks.Patch{})
	_, _, rotate := w.endpoints.Rotate(ctx, live, hook.ID, webhooks.Rotation{})
	_, test := w.endpoints.Test(ctx, live, hook.ID)
	_, deliveries := w.endpoints.Deliveries(ctx, live, hook.ID, webhooks.DeliveryFilter{}, messaging.Page{Limit: 1})
	_, replay := w.endpoints.Replay(ctx, live, hook.ID, "dlv_x")
	_, ranged := w.endpoints.ReplayRange(ctx, live, hook.ID, webhooks.Range{})
	_, remove := w.endpoints.Delete(ctx, live, hook.ID)
	for what, err := range map[string]error{
		"find": find, "update": update, "rotate": rotate, "test": test, "deliveries": deliveries, "replay": replay, "range": ranged, "delete": remove,
	} {
		if !errors.Is(err, fault.ErrNotFound) {
			t.Errorf("%s: %v", what, err)
		}
	}
}
