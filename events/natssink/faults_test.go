package natssink_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"

	"portaria/messaging"
)

// TestKilledServerLosesNothing kills the server with kill -9, twice, while 2,000
// events are on their way: each is in the stream exactly once, and in order.
func TestKilledServerLosesNothing(t *testing.T) {
	on, s := newServer(t, jetStream).start(), newShelf()
	sink, _ := run(t, options(s, on.url("", "")))
	begin(t, s)
	worlds := []messaging.World{live, test, other}
	total := func() (n int64) { return s.cursor(live) + s.cursor(test) + s.cursor(other) }
	for i := range 2000 {
		sink.Tell(s.commit(worlds[i%3], 1))
		if i == 700 || i == 1400 {
			eventually(t, "half of it is published", func() bool { return total() > int64(i/2) })
			sink.Tell(s.commit(live, 500)) // which are under way now
			on.kill()
		}
		if i == 1000 || i == 1500 {
			on.start()
		}
	}
	expect(t, s, on, worlds...)
}

// TestSinkThatDiesBeforeItsCursorMoves: what the stream has already comes again,
// and the server drops it by its id.
func TestSinkThatDiesBeforeItsCursorMoves(t *testing.T) {
	on, s := newServer(t, jetStream).start(), newShelf()
	_, stop := run(t, options(s, on.url("", "")))
	begin(t, s)
	died := make(chan struct{})
	s.change(func() {
		s.refuse = func(w messaging.World, sequence int64) error {
			if w == live && sequence > 300 {
				select {
				case <-died:
				default:
					close(died) // the page behind is in the stream now
				}
				return errDown
			}
			return nil
		}
	})
	s.commit(live, 1000)
	<-died
	stop()
	if got := len(on.contents("PORTARIA")); got <= int(s.cursor(live)) {
		t.Fatalf("%d messages and a cursor of %d: nothing was to come twice", got, s.cursor(live))
	}
	s.refuse = nil
	run(t, options(s, on.url("", "")))
	expect(t, s, on, live)
}

// TestServerMayBeDownAtStart, and its data folder may be new when it comes: what
// it had not acknowledged is published.
func TestServerMayBeDownAtStart(t *testing.T) {
	on, s := newServer(t, jetStream), newShelf()
	log := new(journal)
	o := options(s, on.url("somebody", "s3cret"))
	o.Logger = log.logger()
	sink, _ := run(t, o)
	begin(t, s)
	sink.Tell(s.commit(test, 300))
	eventually(t, "it was tried", func() bool { return strings.Contains(log.String(), "NATS cannot be used") })
	if err := sink.Idle(t.Context(), test.WorkspaceID); err != nil {
		t.Errorf("idle without a server: %v", err)
	}
	on.start()
	expect(t, s, on, test)

	on.kill()
	sink.Tell(s.commit(test, 300))
	on.loseData()
	on.start()
	eventually(t, "the rest is published", func() bool { return s.cursor(test) == 600 })
	if diff := cmp.Diff(published(on.contents("PORTARIA"), test), ids(s.events[test][300:])); diff != "" {
		t.Errorf("the new stream (-got +want):\n%s", diff)
	}
	if strings.Contains(log.String(), "s3cret") {
		t.Errorf("the log quotes the password:\n%s", log)
	}
}

// TestDeletedStreamIsMadeAgain: events that were not acknowledged are in the new
// one, in order. The old one is deleted while nothing is on its way to it: when a
// message comes to a stream that is being deleted, nats-server 2.9 may keep a
// stream without files, which takes nothing any more.
func TestDeletedStreamIsMadeAgain(t *testing.T) {
	on, s := newServer(t, jetStream).start(), newShelf()
	sink, _ := run(t, options(s, on.url("", "")))
	begin(t, s)
	admin := on.admin()
	sink.Tell(s.commit(live, 500))
	eventually(t, "the first are acknowledged", func() bool { return s.cursor(live) == 500 })
	if err := admin.DeleteStream(t.Context(), "PORTARIA"); err != nil {
		t.Fatal(err)
	}
	sink.Tell(s.commit(live, 1500))
	eventually(t, "all is acknowledged", func() bool { return s.cursor(live) == 2000 })
	if diff := cmp.Diff(published(on.contents("PORTARIA"), live), ids(s.events[live])[500:]); diff != "" {
		t.Errorf("behind the deletion (-got +want):\n%s", diff)
	}
}

// TestTooLargeEventIsLeftOut: no event may stop its world for ever, be it the
// connection or the stream that takes nothing of its size.
func TestTooLargeEventIsLeftOut(t *testing.T) {
	huge := func(e messaging.Event) ([]byte, error) {
		switch e.Sequence % 100 {
		case 50:
			return []byte(strings.Repeat("x", 4000)), nil
		case 51:
			return nil, errors.New("not renderable")
		}
		return render(e)
	}
	for name, settings := range map[string]string{"connection": "max_payload: 2000\n" + jetStream, "stream": jetStream} {
		t.Run(name, func(t *testing.T) {
			on, s := newServer(t, settings).start(), newShelf()
			if name == "stream" {
				if _, err := on.admin().CreateStream(t.Context(), jetstream.StreamConfig{
					Name: "PORTARIA", Subjects: []string{"portaria.>"}, MaxMsgSize: 2000,
				}); err != nil {
					t.Fatal(err)
				}
			}
			log := new(journal)
			o := options(s, on.url("", ""))
			o.Render, o.Logger = huge, log.logger()
			sink, _ := run(t, o)
			begin(t, s)
			sink.Tell(s.commit(live, 600))
			eventually(t, "the cursor is behind them", func() bool { return s.cursor(live) == 600 })
			var want []string
			for _, e := range s.events[live] {
				if n := e.Sequence % 100; n != 50 && n != 51 {
					want = append(want, e.ID)
				}
			}
			if diff := cmp.Diff(published(on.contents("PORTARIA"), live), want); diff != "" {
				t.Errorf("the stream (-got +want):\n%s", diff)
			}
			if got := sink.Skipped(); got != 12 {
				t.Errorf("%d skipped, want 12", got)
			}
			if id := s.events[live][49].ID; !strings.Contains(log.String(), id) {
				t.Errorf("the log does not name %s", id)
			}
		})
	}
}

// TestOthersMayPublishToTheStream: then the fences do not hold, and order must.
func TestOthersMayPublishToTheStream(t *testing.T) {
	on, s := newServer(t, jetStream).start(), newShelf()
	sink, _ := run(t, options(s, on.url("", "")))
	run(t, options(s, on.url("", ""))) // as a second process does
	begin(t, s)
	admin := on.admin()
	eventually(t, "the stream is there", func() bool {
		_, err := admin.Stream(t.Context(), "PORTARIA")
		return err == nil
	})
	ctx, cancel := context.WithCancel(t.Context())
	var foreign sync.WaitGroup
	var count atomic.Int64
	foreign.Go(func() {
		for ctx.Err() == nil {
			if _, err := admin.Publish(ctx, "portaria.foreign", nil); err == nil {
				count.Add(1)
			}
		}
	})
	for range 20 {
		sink.Tell(s.commit(live, 50))
		sink.Tell(s.commit(other, 50))
	}
	eventually(t, "all is acknowledged", func() bool { return s.cursor(live) == 1000 && s.cursor(other) == 1000 && count.Load() > 0 })
	cancel()
	foreign.Wait()
	expect(t, s, on, live, other)
}

// TestRefusedWorldDelaysNobody: an operator may permit the subjects of some worlds
// alone. What the others publish does not wait, and what is permitted later is
// published then. The permissions are those that docs/events-nats.md names.
func TestRefusedWorldDelaysNobody(t *testing.T) {
	const users = `accounts { A { jetstream: enabled, users: [
		{user: admin, password: admin},
		{user: portaria, password: s3cret, permissions: { subscribe: { allow: ["_INBOX.>"] }, publish: { allow: [
			%s"portaria.live.wsp_2.>", "$JS.API.STREAM.INFO.PORTARIA", "$JS.API.STREAM.CREATE.PORTARIA"] } } } ] } }
		` + jetStream
	on, s := newServer(t, fmt.Sprintf(users, "")).start(), newShelf()
	log := new(journal)
	o := options(s, on.url("portaria", "s3cret"))
	o.Logger = log.logger()
	sink, _ := run(t, o)
	begin(t, s)
	sink.Tell(s.commit(live, 300))
	sink.Tell(s.commit(other, 300))
	expect(t, s, on, other)
	eventually(t, "the refusal is logged", func() bool {
		return strings.Contains(strings.ToLower(log.String()), "permissions violation") && strings.Contains(log.String(), live.WorkspaceID)
	})
	if got := s.cursor(live); got != 0 {
		t.Errorf("the cursor of what was refused is at %d", got)
	}
	on.kill()
	on.configure(fmt.Sprintf(users, `"portaria.live.wsp_1.>", `))
	on.start()
	expect(t, s, on, live, other)
	if strings.Contains(log.String(), "s3cret") {
		t.Errorf("the log quotes the password:\n%s", log)
	}
}

// TestServerWithoutJetStreamIsTriedAgain, now and then, until it has it. The same
// holds for a wrong password.
func TestServerWithoutJetStreamIsTriedAgain(t *testing.T) {
	tests := []struct{ name, settings, log string }{
		{"no JetStream", "", "jetstream is not enabled"},
		{"wrong password", "authorization { user: admin, password: admin }\n" + jetStream, "authorization violation"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			on, s := newServer(t, test.settings).start(), newShelf()
			log := new(journal)
			o := options(s, on.url("portaria", "s3cret"))
			o.Logger = log.logger()
			sink, _ := run(t, o)
			begin(t, s)
			sink.Tell(s.commit(live, 10))
			eventually(t, "the reason is logged", func() bool { return strings.Contains(strings.ToLower(log.String()), test.log) })
			on.kill()
			on.configure(jetStream)
			on.start()
			expect(t, s, on, live)
			if strings.Contains(log.String(), "s3cret") {
				t.Errorf("the log quotes the password:\n%s", log)
			}
		})
	}
}

// TestFailuresAreSpaced: a server that refuses everything must cost next to
// nothing.
func TestFailuresAreSpaced(t *testing.T) {
	on, s := newServer(t, "").start(), newShelf() // which has no JetStream
	log := new(journal)
	o := options(s, on.url("", ""))
	o.Logger, o.RetryFirst, o.RetryMost = log.logger(), 100*time.Millisecond, time.Hour
	sink, _ := run(t, o)
	begin(t, s)
	var tries []time.Time
	eventually(t, "four tries", func() bool {
		sink.Tell(s.commit(live, 1)) // news is no reason to try sooner
		tries = log.times(t, "NATS cannot be used")
		return len(tries) >= 4
	})
	if took := tries[3].Sub(tries[0]); took < 300*time.Millisecond {
		t.Errorf("three more tries within %v, want the waits between them to double from 100 ms", took)
	}
}

// TestDatabaseMayBeDown: its events wait for it.
func TestDatabaseMayBeDown(t *testing.T) {
	on, s := newServer(t, jetStream).start(), newShelf()
	s.down = true
	log := new(journal)
	o := options(s, on.url("", ""))
	o.Logger = log.logger()
	sink, _ := run(t, o)
	eventually(t, "the reason is logged", func() bool { return strings.Contains(log.String(), "the journal cannot be read") })
	s.change(func() { s.down = false })
	begin(t, s)
	sink.Tell(s.commit(live, 10))
	expect(t, s, on, live)
	s.change(func() { s.down = true })
	sink.Tell(s.commit(live, 10))
	eventually(t, "the reason is logged", func() bool { return strings.Contains(log.String(), "events not published") })
	s.change(func() { s.down = false })
	expect(t, s, on, live)
}
