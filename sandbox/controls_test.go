package sandbox_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"portaria/messaging"
	"portaria/sandbox"
)

// control has something happen to the instance, lets it take effect, and returns
// the instance.
func (r *rehearsal) control(act func(context.Context, messaging.TestInstance) error) messaging.Instance {
	r.t.Helper()
	if err := act(r.t.Context(), r.test()); err != nil {
		r.t.Fatal(err)
	}
	r.advance(0)
	return r.now()
}

func (r *rehearsal) test() messaging.TestInstance {
	r.t.Helper()
	test, ok := r.now().Test()
	if !ok {
		r.t.Fatal("it is no test instance")
	}
	return test
}

func (r *rehearsal) drop(lasts time.Duration) messaging.Instance {
	r.t.Helper()
	return r.control(func(ctx context.Context, i messaging.TestInstance) error { return r.driver.Drop(ctx, i, lasts) })
}

func (r *rehearsal) ban(lasts time.Duration) messaging.Instance {
	r.t.Helper()
	return r.control(func(ctx context.Context, i messaging.TestInstance) error { return r.driver.Ban(ctx, i, lasts) })
}

func (r *rehearsal) is(state messaging.InstanceState, reason string) {
	r.t.Helper()
	if got := r.now(); got.State != state || got.StateReason != reason {
		r.t.Errorf("it is %s %q, want %s %q", got.State, got.StateReason, state, reason)
	}
}

// What was dropped stays down, through a restart too, until it is brought back.
func TestADroppedInstanceWaitsToBeBroughtBack(t *testing.T) {
	r := newRehearsal(t)
	r.create(false)
	if err := r.driver.Reconnect(t.Context(), r.test()); !errors.Is(err, sandbox.ErrNotDown) {
		t.Errorf("reconnecting what is connected: %v", err)
	}
	r.drop(0)
	r.is(messaging.InstanceDisconnected, messaging.ReasonNetworkUnreachable)
	if err := r.driver.Drop(t.Context(), r.test(), 0); !errors.Is(err, sandbox.ErrNotOnline) {
		t.Errorf("dropping what is down: %v", err)
	}
	r.stop()
	r.start()
	r.advance(24 * time.Hour)
	r.is(messaging.InstanceDisconnected, messaging.ReasonNetworkUnreachable)
	r.control(r.driver.Reconnect)
	r.is(messaging.InstanceConnected, "")
}

func TestADropMayEndByItself(t *testing.T) {
	r := newRehearsal(t)
	r.create(false)
	r.drop(time.Minute)
	r.advance(59 * time.Second)
	r.is(messaging.InstanceDisconnected, messaging.ReasonNetworkUnreachable)
	r.advance(time.Second)
	r.is(messaging.InstanceConnected, "")
}

func TestABanMayEndByItself(t *testing.T) {
	r := newRehearsal(t)
	r.create(false)
	if got := r.ban(time.Hour); got.StateUntil.Sub(got.StateSince) != time.Hour {
		t.Errorf("it is banned until %v", got.StateUntil)
	}
	r.is(messaging.InstanceRestricted, messaging.ReasonTemporaryBan)
	r.advance(time.Hour)
	r.is(messaging.InstanceConnected, "")
	r.ban(0)
	r.is(messaging.InstanceBanned, messaging.ReasonBanned)
	r.advance(30 * 24 * time.Hour)
	r.is(messaging.InstanceBanned, messaging.ReasonBanned)
	r.control(r.driver.Reconnect)
	r.is(messaging.InstanceConnected, "")
}

func TestALogoutOnThePhoneWantsAnotherScan(t *testing.T) {
	r := newRehearsal(t)
	phone := r.create(false).Phone
	r.control(r.driver.Logout)
	r.is(messaging.InstanceLoggedOut, messaging.ReasonDeviceRemoved)
	if err := r.driver.Logout(t.Context(), r.test()); !errors.Is(err, sandbox.ErrNotLinked) {
		t.Errorf("logging out twice: %v", err)
	}
	if err := r.driver.Ban(t.Context(), r.test(), 0); !errors.Is(err, sandbox.ErrNotLinked) {
		t.Errorf("banning nobody: %v", err)
	}
	r.connect("")
	r.is(messaging.InstancePairing, "")
	for _, wrong := range []string{"nothing", "ABCD-1234", sandbox.LinkQR("x")} {
		if err := r.driver.Scan(t.Context(), r.test(), wrong); !errors.Is(err, sandbox.ErrWrongCode) {
			t.Errorf("scanning %q: %v", wrong, err)
		}
	}
	shown, err := r.manager.Pairing(t.Context(), r.tenancy, "one")
	if err != nil {
		t.Fatal(err)
	}
	r.control(func(ctx context.Context, i messaging.TestInstance) error { return r.driver.Scan(ctx, i, shown.QR) })
	r.is(messaging.InstanceConnected, "")
	if got := r.now().Phone; got != phone {
		t.Errorf("its number is %s, was %s", got, phone)
	}
}

// What contacts do is recorded as it is for a live instance.
func TestContactsWriteEditRevokeAndCall(t *testing.T) {
	r := newRehearsal(t)
	r.create(false)
	from := messaging.Address{Input: "+12025551234", WAID: "12025551234@s.whatsapp.net"}
	text := func(body string) messaging.Content {
		return messaging.Content{Kind: messaging.KindText, Text: &messaging.Text{Body: body}}
	}
	m, err := r.driver.Receive(t.Context(), r.test(), from, text("hello"))
	if err != nil {
		t.Fatal(err)
	}
	if err := r.driver.ReceiveEdit(t.Context(), r.test(), &m, text("good morning")); err != nil {
		t.Fatal(err)
	}
	if got := r.message(m.ID); got.Content.Text.Body != "good morning" || got.EditedAt.IsZero() || got.Direction != messaging.Inbound {
		t.Errorf("message = %+v", got)
	}
	if err := r.driver.ReceiveRevoke(t.Context(), r.test(), &m); err != nil {
		t.Fatal(err)
	}
	if got := r.message(m.ID); got.RevokedAt.IsZero() {
		t.Errorf("message = %+v", got)
	}
	call, err := r.driver.ReceiveCall(t.Context(), r.test(), messaging.Call{From: from, Video: true})
	if err != nil || call.ID == "" || !call.Video {
		t.Errorf("call = %+v, %v", call, err)
	}
	sent := messaging.Message{Direction: messaging.Outbound, InstanceID: r.now().ID}
	if err := r.driver.ReceiveRevoke(t.Context(), r.test(), &sent); err == nil {
		t.Error("a contact deleted our message")
	}
	r.drop(0)
	if _, err := r.driver.Receive(t.Context(), r.test(), from, text("late")); !errors.Is(err, sandbox.ErrNotOnline) {
		t.Errorf("writing to a phone that is off: %v", err)
	}
	if got := r.events(); got != "message.received message.edited message.revoked call.received instance.disconnected" {
		t.Errorf("events: %s", got)
	}
}

func (r *rehearsal) message(id string) messaging.Message {
	r.t.Helper()
	m, err := r.store.Message(r.t.Context(), r.tenancy, id)
	if err != nil {
		r.t.Fatal(err)
	}
	return m
}

// events are the types of what happened since the instance was made.
func (r *rehearsal) events() (types string) {
	r.t.Helper()
	found, err := r.store.EventsAfter(r.t.Context(), messaging.World{WorkspaceID: r.tenancy.Workspace(), Environment: messaging.Test}, 1, 100)
	if err != nil {
		r.t.Fatal(err)
	}
	for i := range found {
		if i > 0 {
			types += " "
		}
		types += string(found[i].Type)
	}
	return types
}
