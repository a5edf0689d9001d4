package main

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portaria/messaging"
	"portaria/outbox"
	"portaria/sandbox/runs"
	"portaria/store"
	"portaria/store/storetest"
)

// sends is a step that sends a text.
func (d *realDoor) sends(to, body string) runs.Step {
	return runs.Step{Kind: runs.Send, Act: func(ctx context.Context, i messaging.Instance) (*messaging.Message, error) {
		m, err := d.app.outbox.Accept(ctx, outbox.Draft{
			Tenancy: testWorld(d.workspace), Instance: i, KeyID: "key_one", Lineage: "key_one", To: to,
			Content: messaging.Content{Kind: messaging.KindText, Text: &messaging.Text{Body: body}},
		})
		return &m, err
	}}
}

func expects(event messaging.EventType, within time.Duration) runs.Step {
	return runs.Step{Kind: runs.Expect, Expect: runs.Expectation{Event: event, Within: within}}
}

// told is a report as a tester reads it.
func told(r *runs.Run) (lines []string) {
	for _, s := range r.Steps {
		line := fmt.Sprintf("%v %s %t", s.At, s.Kind, s.Passed)
		if s.Problem != nil {
			line += " " + s.Problem.Code
		}
		for _, e := range s.Events {
			line += fmt.Sprintf(" %v:%s", e.At, e.Type)
		}
		lines = append(lines, line)
	}
	return lines
}

// A run plays its steps by a clock of its own: what happens, and when by that
// clock, is the same every time.
func TestARunTellsTheSameEveryTime(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		d := newRealDoor(t, s)
		for range 3 {
			r, err := d.app.runs.Run(t.Context(), runs.Script{
				Tenancy: testWorld(d.workspace), Name: "order", Steps: []runs.Step{
					d.sends("+12025550123", "hello"),
					expects("message.read", time.Second),
					d.sends("+15005550009", "nobody"),
					expects("message.failed", 0),
					d.sends("+15005550019", "echo"),
					{Kind: runs.Advance, Lasts: time.Minute},
					{Kind: runs.Drop},
					d.sends("+12025550123", "waits"),
					{Kind: runs.Expect, Expect: runs.Expectation{Event: "message.sent", Within: time.Hour, Absent: true, Matches: func(*messaging.Event) bool { return false }}},
					{Kind: runs.Reconnect},
					{Kind: runs.Logout},
					{Kind: runs.Connect},
					{Kind: runs.Scan},
					expects("instance.banned", time.Second),
					{Kind: runs.Ban},
				},
			})
			if err != nil {
				t.Fatal(err)
			}
			want := []string{
				"0s send true 0s:message.queued 0s:message.sent",
				"0s expect true 100ms:message.delivered 300ms:message.read",
				"300ms send true 300ms:message.queued 300ms:message.failed",
				"300ms expect true",
				"300ms send true 300ms:message.queued 300ms:message.sent",
				"300ms advance true 400ms:message.delivered 600ms:message.read 700ms:message.received",
				"1m0.3s drop true 1m0.3s:instance.disconnected",
				"1m0.3s send true 1m0.3s:message.queued",
				"1m0.3s expect true",
				"1h1m0.3s reconnect true 1h1m0.3s:instance.connected 1h1m0.3s:message.sent",
				"1h1m0.3s logout true 1h1m0.3s:instance.logged_out",
				"1h1m0.3s connect true 1h1m0.3s:instance.pairing",
				"1h1m0.3s scan true 1h1m0.3s:instance.connected",
				"1h1m0.3s expect false EVENT_DID_NOT_COME 1h1m0.4s:message.delivered 1h1m0.6s:message.read",
				"1h1m1.3s ban false",
			}
			if diff := cmp.Diff(want, told(&r)); diff != "" {
				t.Error(diff)
			}
			if r.Passed || r.State != runs.Ended || !r.OwnInstance {
				t.Errorf("run = %+v", r)
			}
			stored, err := d.app.runs.Find(t.Context(), testWorld(d.workspace), r.ID)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(r, stored); diff != "" {
				t.Error(diff)
			}
		}
		if all, err := d.app.manager.List(t.Context(), testWorld(d.workspace), messaging.Page{Limit: 10}); err != nil || len(all) != 0 {
			t.Errorf("%d instances are left: %v", len(all), err)
		}
	})
}
