package stream_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"portaria/events/stream"
	"portaria/internal/fault"
	"portaria/messaging"
)

// everything is a subscription to all that happens from now on.
func everything() stream.Subscription { return stream.Subscription{Allow: messaging.AllInstances()} }

// end ends a subscription and returns how.
func end(cancel func(), ended <-chan error) error {
	cancel()
	return <-ended
}

func TestListenersHearWhatTheyAskedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := newJournal()
		h := run(t, j)
		ears := make(map[string]*ear)
		for name, s := range map[string]stream.Subscription{
			"everything":   everything(),
			"locked":       {Allow: messaging.OnlyInstances("ins_a")},
			"one instance": {Allow: messaging.AllInstances(), InstanceID: "ins_b"},
			"a family":     {Allow: messaging.AllInstances(), Types: []string{"message.*"}},
			"two types":    {Allow: messaging.AllInstances(), Types: []string{"message.read", "webhook.test"}},
			"all types":    {Allow: messaging.AllInstances(), Types: []string{"*"}},
			"both":         {Allow: messaging.OnlyInstances("ins_b", "ins_a"), Types: []string{"bulk.*"}},
			"nothing":      {},
			"elsewhere":    {World: messaging.World{WorkspaceID: "wsp_here", Environment: messaging.Live}, Allow: messaging.AllInstances()},
		} {
			ears[name] = new(ear)
			cancel, ended := h.follow(s, ears[name])
			defer func() {
				if err := end(cancel, ended); !errors.Is(err, context.Canceled) {
					t.Errorf("%s ended with %v", name, err)
				}
			}()
		}
		synctest.Wait()
		read := h.tell(j, "ins_a", "message.read")
		sent := h.tell(j, "ins_b", "message.sent")
		paired := h.tell(j, "ins_a", "instance.pairing")
		disabled := h.tell(j, "", messaging.EventWebhookDisabled)
		test := h.tell(j, "", messaging.EventWebhookTest)
		bulk := h.tell(j, "", messaging.EventBulkStarted, "ins_a", "ins_b")
		synctest.Wait()
		for name, want := range map[string][]string{
			"everything":   {read, sent, paired, disabled, bulk}, // a test is its webhook's alone
			"locked":       {read, paired},
			"one instance": {sent},
			"a family":     {read, sent},
			"two types":    {read, test},
			"all types":    {read, sent, paired, disabled, bulk}, // a test is told to nobody by a pattern
			"both":         {bulk},                               // of which "locked" may see a part only
			"nothing":      nil,
			"elsewhere":    nil,
		} {
			if diff := cmp.Diff(want, ears[name].all(t)); diff != "" {
				t.Errorf("%s:\n%s", name, diff)
			}
		}
	})
}

// What was missed is told first, and what happens meanwhile is not lost between
// the store and the feed.
func TestWhoResumesMissesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := newJournal()
		first := j.commit(here, "ins_a", "message.sent")
		var want []string
		for range 1000 {
			want = append(want, j.commit(here, "ins_a", "message.sent").ID)
		}
		h := run(t, j)
		patient := &ear{delay: time.Millisecond}
		s := everything()
		s.After = first.ID
		cancel, ended := h.follow(s, patient)
		for range 500 {
			time.Sleep(time.Millisecond)
			want = append(want, h.tell(j, "ins_a", "message.sent"))
		}
		time.Sleep(10 * time.Second)
		if diff := cmp.Diff(want, patient.all(t)); diff != "" {
			t.Error(diff)
		}
		end(cancel, ended)
	})
}

func TestWhatIsNotKeptIsToldAsAGap(t *testing.T) {
	for name, c := range map[string]struct {
		prepare func(j *journal)
		allow   messaging.Allowlist
		want    func(ids []string) []string
	}{
		"some of it": {
			func(j *journal) { j.kept = 4 }, messaging.AllInstances(),
			func(ids []string) []string { return []string{"gap " + ids[0] + " " + ids[3], ids[3], ids[4]} },
		},
		"all of it": {
			func(j *journal) { j.kept = 6 }, messaging.AllInstances(),
			func(ids []string) []string { return []string{"gap " + ids[0] + " "} },
		},
		"the next one is another's": {
			func(j *journal) { j.kept = 4 }, messaging.OnlyInstances("ins_4"),
			func(ids []string) []string { return []string{"gap " + ids[0] + " ", ids[4]} },
		},
		"the journal was set back": {
			func(j *journal) { j.heads[here] = 0; j.kept = 6 }, messaging.AllInstances(),
			func(ids []string) []string { return []string{"gap " + ids[0] + " "} },
		},
		"nothing": {
			func(*journal) {}, messaging.AllInstances(),
			func(ids []string) []string { return ids[1:] },
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				j := newJournal()
				var ids []string
				for n := range 5 {
					ids = append(ids, j.commit(here, fmt.Sprint("ins_", n), "message.sent").ID)
				}
				c.prepare(j)
				h, heard := run(t, j), new(ear)
				cancel, ended := h.follow(stream.Subscription{Allow: c.allow, After: ids[0]}, heard)
				synctest.Wait()
				if diff := cmp.Diff(c.want(ids), heard.all(t)); diff != "" {
					t.Error(diff)
				}
				end(cancel, ended)
			})
		})
	}
}

// A burst is larger than any buffer. Whoever reads all the same must not be
// taken for slow.
func TestABurstDropsNobodyWhoReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := newJournal()
		h, heard := run(t, j, func(o *stream.Options) { o.Buffer = 16 }), &ear{delay: 100 * time.Microsecond}
		cancel, ended := h.follow(everything(), heard)
		synctest.Wait()
		var want []string
		for range 20 {
			for range 300 {
				want = append(want, j.commit(here, "ins_a", "message.sent").ID)
			}
			want = append(want, h.tell(j, "ins_b", "message.sent"))
			time.Sleep(50 * time.Millisecond)
		}
		time.Sleep(10 * time.Second)
		if diff := cmp.Diff(want, heard.all(t)); diff != "" {
			t.Error(diff)
		}
		end(cancel, ended)
	})
}

// One that hangs costs the others nothing, and is told so when it comes to
// itself.
func TestWhoHangsIsDroppedAndDelaysNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := newJournal()
		h, stuck := run(t, j), &ear{deaf: make(chan struct{})}
		_, dropped := h.follow(everything(), stuck)
		ears := make([]*ear, 100)
		for i := range ears {
			ears[i] = new(ear)
			cancel, ended := h.follow(everything(), ears[i])
			defer func() { end(cancel, ended) }()
		}
		synctest.Wait()
		var want []string
		for range 1000 {
			want = append(want, h.tell(j, "ins_a", "message.sent"))
			time.Sleep(time.Millisecond)
			synctest.Wait()
			if got := len(ears[0].all(t)); got != len(want) {
				t.Fatalf("%d of %d were told", got, len(want))
			}
		}
		for i := range ears {
			if diff := cmp.Diff(want, ears[i].all(t)); diff != "" {
				t.Fatalf("listener %d:\n%s", i, diff)
			}
		}
		time.Sleep(10 * time.Second)
		close(stuck.deaf)
		if err := <-dropped; !errors.Is(err, stream.ErrSlow) {
			t.Errorf("the one that hung ended with %v", err)
		}
		if heard := stuck.heard; len(heard) == 0 || !cmp.Equal(heard, want[:len(heard)]) {
			t.Errorf("it has heard %d, not the first ones in their order", len(heard))
		}
	})
}

// A listener that is slower than what happens is dropped though it never hangs.
func TestWhoIsTooSlowForLongIsDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := newJournal()
		h, slow := run(t, j), &ear{delay: 20 * time.Millisecond}
		_, dropped := h.follow(everything(), slow)
		synctest.Wait()
		began := time.Now()
		for {
			h.tell(j, "ins_a", "message.sent")
			time.Sleep(5 * time.Millisecond)
			select {
			case err := <-dropped:
				if took := time.Since(began); !errors.Is(err, stream.ErrSlow) || took > 10*time.Second {
					t.Errorf("ended with %v after %v", err, took)
				}
				return
			default:
			}
			if time.Since(began) > time.Minute {
				t.Fatal("it still listens")
			}
		}
	})
}

// Other processes commit without telling.
func TestWhatNobodyToldIsFoundByPolling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := newJournal()
		h, heard := run(t, j), new(ear)
		cancel, ended := h.follow(everything(), heard)
		synctest.Wait()
		want := []string{j.commit(here, "ins_a", "message.sent").ID}
		time.Sleep(time.Second)
		synctest.Wait()
		if diff := cmp.Diff(want, heard.all(t)); diff != "" {
			t.Error(diff)
		}
		if n := heard.moments(); n < 4 {
			t.Errorf("a silent second had %d moments of its own", n)
		}
		end(cancel, ended)
		// Nobody listens: the store is left alone.
		synctest.Wait()
		before := j.asked()
		time.Sleep(time.Minute)
		if after := j.asked(); after != before {
			t.Errorf("%d reads for nobody", after-before)
		}
	})
}

// What is committed when a listener has read the store and nobody feeds it yet
// must not wait for a poll.
func TestNothingWaitsBetweenTheStoreAndTheFeed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := newJournal()
		h, heard := run(t, j), new(ear)
		var want []string
		j.behindRead(sync.OnceFunc(func() { want = append(want, h.tell(j, "ins_a", "message.sent")) }))
		cancel, ended := h.follow(everything(), heard)
		synctest.Wait()
		if diff := cmp.Diff(want, heard.all(t)); diff != "" || len(want) != 1 {
			t.Error(diff)
		}
		end(cancel, ended)
	})
}

// What the feed hands to others while a listener is about to join, it has to read
// by itself.
func TestNothingIsLostWhileJoiningAFeed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := newJournal()
		h, first, second := run(t, j), new(ear), new(ear)
		leaveFirst, firstEnded := h.follow(everything(), first)
		synctest.Wait()
		var want []string
		j.behindRead(sync.OnceFunc(func() {
			j.behindRead(nil)
			want = append(want, h.tell(j, "ins_a", "message.sent"))
			time.Sleep(time.Millisecond) // the feed hands it out
		}))
		leaveSecond, secondEnded := h.follow(everything(), second)
		time.Sleep(10 * time.Millisecond)
		want = append(want, h.tell(j, "ins_a", "message.sent"))
		synctest.Wait()
		for name, heard := range map[string]*ear{"first": first, "second": second} {
			if diff := cmp.Diff(want, heard.all(t)); diff != "" {
				t.Errorf("the %s:\n%s", name, diff)
			}
		}
		end(leaveFirst, firstEnded)
		end(leaveSecond, secondEnded)
	})
}

// A store that fails is asked again, and not more often than before.
func TestFeedsOutliveAStoreThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := newJournal()
		h, heard := run(t, j), new(ear)
		cancel, ended := h.follow(everything(), heard)
		synctest.Wait()
		j.breakWith(errors.New("no line"))
		before := j.asked()
		var want []string
		for range 1000 {
			want = append(want, h.tell(j, "ins_a", "message.sent"))
			time.Sleep(5 * time.Millisecond)
		}
		if asked := j.asked() - before; asked > 10 {
			t.Errorf("the store was asked %d times in five seconds", asked)
		}
		if _, refused := h.follow(everything(), new(ear)); <-refused == nil {
			t.Error("a subscription began without a store")
		}
		j.breakWith(nil)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if diff := cmp.Diff(want, heard.all(t)); diff != "" {
			t.Error(diff)
		}
		end(cancel, ended)
		h.stop()
		if log := h.logged.String(); strings.Count(log, "cannot be read") != 1 || strings.Count(log, "read again") != 1 {
			t.Errorf("the log says\n%s", log)
		}
	})
}

func TestEachEventIsRenderedOnceForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var rendered atomic.Int64
		j := newJournal()
		h := run(t, j, func(o *stream.Options) {
			o.Render = func(e messaging.Event) ([]byte, error) { rendered.Add(1); return show(e) }
		})
		for range 50 {
			cancel, ended := h.follow(everything(), new(ear))
			defer func() { end(cancel, ended) }()
		}
		cancel, ended := h.follow(stream.Subscription{Allow: messaging.OnlyInstances("ins_none")}, new(ear))
		defer func() { end(cancel, ended) }()
		synctest.Wait()
		for range 100 {
			h.tell(j, "ins_a", "message.sent")
		}
		synctest.Wait()
		if got := rendered.Load(); got != 100 {
			t.Errorf("100 events were rendered %d times", got)
		}
	})
}

// One event that cannot be shown must not hold up what comes behind it.
func TestWhatCannotBeShownIsPassedOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := newJournal()
		first := j.commit(here, "ins_a", "message.sent")
		j.commit(here, "ins_a", "message.unshowable")
		h, heard := run(t, j), new(ear)
		s := everything()
		s.After = first.ID
		cancel, ended := h.follow(s, heard)
		synctest.Wait()
		h.tell(j, "ins_a", "message.unshowable")
		want := []string{h.tell(j, "ins_a", "message.sent")}
		synctest.Wait()
		if diff := cmp.Diff(want, heard.all(t)); diff != "" {
			t.Error(diff)
		}
		end(cancel, ended)
	})
}

func TestTheEndOfTheHubEndsEverySubscription(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := newJournal()
		h := run(t, j)
		_, live := h.follow(everything(), new(ear))
		synctest.Wait()
		h.stop()
		if err := <-live; !errors.Is(err, stream.ErrStopped) {
			t.Errorf("ended with %v", err)
		}
		_, late := h.follow(everything(), new(ear))
		if err := <-late; !errors.Is(err, stream.ErrStopped) {
			t.Errorf("one that came late ended with %v", err)
		}
	})
}

func TestFollowRefusesWhatIsNoEvent(t *testing.T) {
	h := run(t, newJournal())
	s := everything()
	s.World, s.After = here, "msg_01jd00000000000000000000aa"
	if err := h.Follow(t.Context(), s, new(ear)); !errors.Is(err, fault.ErrBadRequest) {
		t.Errorf("got %v", err)
	}
	if err := h.Idle(t.Context(), "wsp_here"); err != nil {
		t.Error(err)
	}
	if _, err := stream.New(stream.Options{}); err == nil {
		t.Error("a hub without a store was made")
	}
}

// failing is a listener that is not there any more.
type failing struct{ ear }

var errGone = errors.New("gone")

func (f *failing) Still() error { return errGone }

func TestAListenerThatFailsEndsItsSubscription(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := run(t, newJournal())
		_, ended := h.follow(everything(), new(failing))
		if err := <-ended; !errors.Is(err, errGone) {
			t.Errorf("ended with %v", err)
		}
	})
}

// Tell runs on the committer's goroutine, for every commit of every workspace.
func TestTellingNobodyCostsNothing(t *testing.T) {
	h := run(t, newJournal())
	events := make([]messaging.Event, 64)
	if n := testing.AllocsPerRun(100, func() { h.Tell(events) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
