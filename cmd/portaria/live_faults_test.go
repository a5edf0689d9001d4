package main

import (
	"net/http"
	"testing"
	"time"

	"portaria/wasim"
)

// Each fault of the network becomes the state that API.md section 5 names, and
// a message accepted meanwhile is sent when the instance can again, or waits.
func TestNetworkFaultsBecomeStates(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		fault   wasim.Fault
		relogin bool // the fault strikes at the next login
		state   string
		reason  string
		event   string // the type that must have been recorded
		desired string
		back    bool // by itself
	}{
		{"drop", wasim.Fault{Name: wasim.FaultDrop}, false, "connected", "", "", "connected", true},
		{"503", wasim.Fault{Name: wasim.FaultStreamError, Code: 503}, false, "connected", "", "", "connected", true},
		{"515", wasim.Fault{Name: wasim.FaultStreamError, Code: 515}, false, "connected", "", "", "connected", true},
		{"replaced", wasim.Fault{Name: wasim.FaultReplaced}, false, "disconnected", "stream_replaced", "instance.disconnected", "connected", false},
		{"outdated", wasim.Fault{Name: wasim.FaultLoginFailure, Code: 405}, true, "disconnected", "client_outdated", "instance.disconnected", "connected", false},
		{"ban", wasim.Fault{Name: wasim.FaultLoginFailure, Code: 402, Expire: 3 * time.Second}, true, "restricted", "temporary_ban", "instance.restricted", "connected", true},
		{"removed", wasim.Fault{Name: wasim.FaultDeviceRemoved}, false, "logged_out", "device_removed", "instance.logged_out", "connected", false},
		{"403", wasim.Fault{Name: wasim.FaultLoginFailure, Code: 403}, true, "logged_out", "unauthorized", "instance.logged_out", "connected", false},
		{"503 at login", wasim.Fault{Name: wasim.FaultLoginFailure, Code: 503}, true, "connected", "", "", "connected", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newLiveWorld(t, lightEngine)
			w.instance("shop", "5511900000001")
			if _, err := w.wasim.Inject(c.fault); err != nil {
				t.Fatal(err)
			}
			if c.relogin {
				w.wasim.Phone("5511900000001").Drop()
			}
			var i liveInstance
			waitUntil(t, patience, func() bool {
				i = w.waitForState("shop", c.state)
				return i.StateReason == c.reason
			})
			if c.event != "" {
				waitUntil(t, patience, func() bool { return len(w.events(c.event)) > 0 })
			}
			m := w.send("shop", `{"to":"+5511987000001","text":"meanwhile"}`)
			if c.back {
				w.waitForState("shop", "connected")
				w.waitForStatus(m.ID, "read")
				return
			}
			if i.Desired != c.desired {
				t.Errorf("desired = %s; want %s", i.Desired, c.desired)
			}
			w.do(w.key, http.MethodGet, "/v1/messages/"+m.ID, "", http.StatusOK, &m)
			if m.Status != "queued" {
				t.Errorf("the message is %s; want queued", m.Status)
			}
			if c.state == "logged_out" {
				w.link("shop", "5511900000001")
			} else {
				w.do(w.key, http.MethodPost, "/v1/instances/shop/connect", "", http.StatusAccepted, nil)
				w.waitForState("shop", "connected")
			}
			w.waitForStatus(m.ID, "read")
		})
	}
}

// A message may wait for the phone that was linked when it was accepted; from
// another number it must not be sent.
func TestAnotherNumberFailsWhatWaitedForTheFirst(t *testing.T) {
	t.Parallel()
	w := newLiveWorld(t, lightEngine)
	w.instance("shop", "5511900000001")
	w.do(w.key, http.MethodPost, "/v1/instances/shop/logout", "", http.StatusAccepted, nil)
	w.waitForState("shop", "logged_out")
	m := w.send("shop", `{"to":"+5511987000001","text":"from the first number"}`)
	w.link("shop", "5511900000002")
	failed := w.waitForStatus(m.ID, "failed")
	if failed.Error == nil || failed.Error.Code != "INSTANCE_LOGGED_OUT" {
		t.Errorf("error = %+v", failed.Error)
	}
	if got := len(w.wasim.Received()); got != 0 {
		t.Errorf("%d messages were shown", got)
	}
	second := w.send("shop", `{"to":"+5511987000001","text":"from the second"}`)
	w.waitForStatus(second.ID, "read")
}
