package messaging_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portaria/messaging"
)

// What the store writes and what the manager shows is decided here. A late
// change must not undo what the owner has asked for since.
func TestAnInstanceMovesAsItsChangesSay(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	asked, later := at.Add(-time.Minute), at.Add(time.Hour)
	linked := messaging.Instance{
		State: messaging.InstanceConnected, StateSince: asked, Desired: messaging.DesiredConnected,
		LinkedID: "a", Phone: "551", PushName: "Ana", AskedAt: asked,
	}
	connected := messaging.InstanceChange{Type: messaging.EventInstanceConnected, State: messaging.InstanceConnected, At: at}
	for name, c := range map[string]struct {
		before  func(*messaging.Instance)
		change  func(*messaging.InstanceChange)
		after   func(*messaging.Instance)
		changed bool
		told    bool
	}{
		"the state it has": {},
		"another state": {
			change: func(c *messaging.InstanceChange) {
				c.State, c.Reason, c.Until = messaging.InstanceRestricted, messaging.ReasonTemporaryBan, later
			},
			after: func(i *messaging.Instance) {
				i.State, i.StateReason, i.StateSince, i.StateUntil = messaging.InstanceRestricted, messaging.ReasonTemporaryBan, at, later
			},
			changed: true, told: true,
		},
		"another reason": {
			change:  func(c *messaging.InstanceChange) { c.Reason = messaging.ReasonServerError },
			after:   func(i *messaging.Instance) { i.StateReason, i.StateSince = messaging.ReasonServerError, at },
			changed: true, told: true,
		},
		"another state that is no event": {
			change:  func(c *messaging.InstanceChange) { c.Type, c.State = "", messaging.InstanceConnecting },
			after:   func(i *messaging.Instance) { i.State, i.StateSince = messaging.InstanceConnecting, at },
			changed: true,
		},
		"a longer ban": {
			before:  func(i *messaging.Instance) { i.StateUntil = at },
			change:  func(c *messaging.InstanceChange) { c.Until = later },
			after:   func(i *messaging.Instance) { i.StateUntil = later },
			changed: true,
		},
		"no state": {change: func(c *messaging.InstanceChange) { c.State = "" }},
		"what was asked is done": {
			before:  func(i *messaging.Instance) { i.Ask = messaging.AskRestart },
			change:  func(c *messaging.InstanceChange) { c.Done = asked },
			after:   func(i *messaging.Instance) { i.Ask = messaging.AskNothing },
			changed: true,
		},
		"what was asked earlier is done": {
			before: func(i *messaging.Instance) { i.Ask = messaging.AskRestart },
			change: func(c *messaging.InstanceChange) { c.Done = asked.Add(-time.Second) },
		},
		"a logout": {
			change: func(c *messaging.InstanceChange) {
				c.Type, c.State, c.Linked, c.Undone = messaging.EventInstanceLoggedOut, messaging.InstanceLoggedOut, new(messaging.Link), true
			},
			after: func(i *messaging.Instance) {
				i.State, i.StateSince, i.LinkedID, i.Desired = messaging.InstanceLoggedOut, at, "", messaging.DesiredDisconnected
			},
			changed: true, told: true,
		},
		"a logout that the owner asked for": {
			before:  func(i *messaging.Instance) { i.Ask = messaging.AskLogout },
			change:  func(c *messaging.InstanceChange) { c.Done, c.Undone = asked, true },
			after:   func(i *messaging.Instance) { i.Ask, i.Desired = messaging.AskNothing, messaging.DesiredDisconnected },
			changed: true,
		},
		"a logout behind a newer ask": {
			before: func(i *messaging.Instance) { i.Ask = messaging.AskConnect },
			change: func(c *messaging.InstanceChange) { c.Undone = true },
		},
		"the same phone": {change: func(c *messaging.InstanceChange) {
			c.Linked = &messaging.Link{ID: "a", Phone: "551", PushName: "Ana"}
		}},
		"the same phone, linked again": {
			change:  func(c *messaging.InstanceChange) { c.Linked = &messaging.Link{ID: "b", Phone: "551"} },
			after:   func(i *messaging.Instance) { i.LinkedID = "b" },
			changed: true,
		},
		"another name": {
			change:  func(c *messaging.InstanceChange) { c.Linked = &messaging.Link{ID: "a", Phone: "551", PushName: "Bia"} },
			after:   func(i *messaging.Instance) { i.PushName = "Bia" },
			changed: true,
		},
		"another phone": {
			change: func(c *messaging.InstanceChange) { c.Linked = &messaging.Link{ID: "b", Phone: "552"} },
			after: func(i *messaging.Instance) {
				i.LinkedID, i.Phone, i.PushName, i.Relinked = "b", "552", "", true
			},
			changed: true,
		},
		"the first phone": {
			before:  func(i *messaging.Instance) { i.LinkedID, i.Phone, i.PushName = "", "", "" },
			change:  func(c *messaging.InstanceChange) { c.Linked = &messaging.Link{ID: "b", Phone: "552"} },
			after:   func(i *messaging.Instance) { i.LinkedID, i.Phone = "b", "552" },
			changed: true,
		},
		"unlinked already": {
			before: func(i *messaging.Instance) { i.LinkedID = "" },
			change: func(c *messaging.InstanceChange) { c.Linked = new(messaging.Link) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			i, change := linked, connected
			if c.before != nil {
				c.before(&i)
			}
			if c.change != nil {
				c.change(&change)
			}
			want := i
			if c.after != nil {
				c.after(&want)
			}
			changed, told := i.Apply(change)
			if changed != c.changed || told != c.told {
				t.Errorf("changed %v, told %v; want %v, %v", changed, told, c.changed, c.told)
			}
			if diff := cmp.Diff(want, i); diff != "" {
				t.Errorf("instance (-want +got):\n%s", diff)
			}
			if again, told := i.Apply(change); again || told {
				t.Errorf("the same change is news again: changed %v, told %v", again, told)
			}
		})
	}
}
