package main

import (
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"portaria/wasim"
)

// The whole way of a live message, with nothing of ours replaced: linked by QR,
// sent, decrypted by the contact, read, answered; and once more after a restart
// without linking again.
func TestALiveInstanceSendsHearsAndComesBackAfterARestart(t *testing.T) {
	t.Parallel()
	for _, engine := range heavyEngines() {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			w := newLiveWorld(t, engine)
			contact := w.wasim.Contact("5511987654321").AnswerWith(func(r wasim.Received) string { return "re: " + r.Text() })
			w.instance("shop", "5511900000001")
			if i := w.waitForState("shop", "connected"); i.Phone != "5511900000001" || i.Desired != "connected" {
				t.Errorf("linked instance = %+v", i)
			}

			first := w.send("shop", `{"to":"+55 11 98765-4321","text":"olá"}`)
			w.waitForStatus(first.ID, "read")
			w.waitForAnswers("re: olá")

			w.stop()
			w.start()
			w.waitForState("shop", "connected")
			second := w.send("shop", `{"to":"+55 11 98765-4321","text":"again"}`)
			w.waitForStatus(second.ID, "read")
			w.waitForAnswers("re: olá", "re: again")
			w.exactlyOnce(map[string][]string{contact.Number(): {first.WAMessageID, second.WAMessageID}})
		})
	}
}

// waitForAnswers waits until exactly these texts have come in, in this order.
func (w *liveWorld) waitForAnswers(want ...string) {
	w.t.Helper()
	var got []string
	waitUntil(w.t, patience, func() bool {
		got = got[:0]
		for _, m := range w.messages("inbound") {
			got = append(got, m.Content.Body)
		}
		return len(got) >= len(want)
	})
	if fmt.Sprint(got) != fmt.Sprint(want) {
		w.t.Errorf("inbound messages are %q; want %q", got, want)
	}
}

// The stored WhatsApp id is used for every try, and the network recognises it:
// so a message that was on its way when the process died is not shown twice.
func TestKillingTheServerDuringLiveSendsShowsEachMessageOnce(t *testing.T) {
	t.Parallel()
	for _, engine := range heavyEngines() {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			w := newLiveWorld(t, engine)
			w.instance("shop", "5511900000001")
			var accepted atomic.Int64
			killed := make(chan struct{})
			go func() {
				defer close(killed)
				for _, at := range []int64{liveSends / 5, liveSends / 2, liveSends * 4 / 5} {
					waitUntil(t, patience, func() bool { return accepted.Load() >= at })
					w.kill()
					w.start()
				}
			}()
			sent := w.sendMany("shop", 20, liveSends, &accepted)
			<-killed
			w.waitForAll(w.key, liveSends, "read")
			w.exactlyOnce(sent)
		})
	}
}

// sendMany sends n messages one after another to some contacts in turn, and
// returns the WhatsApp ids in the order of the answers, by contact.
func (w *liveWorld) sendMany(name string, contacts, n int, accepted *atomic.Int64) map[string][]string {
	w.t.Helper()
	sent := make(map[string][]string)
	for i := range n {
		to := fmt.Sprintf("55119870%05d", i%contacts)
		var m liveMessage
		body := fmt.Sprintf(`{"to":"+%s","text":"message %d"}`, to, i)
		if err := w.insist(w.key, "/v1/instances/"+name+"/messages", body, name+strconv.Itoa(i), &m); err != nil {
			w.t.Error(err)
			return sent
		}
		sent[to] = append(sent[to], m.WAMessageID)
		accepted.Add(1)
	}
	return sent
}

// What a contact wrote is acknowledged to the network only when it is durable,
// and recorded once by its WhatsApp id.
func TestKillingTheServerWhileMessagesArriveLosesAndDoublesNone(t *testing.T) {
	t.Parallel()
	for _, engine := range heavyEngines() {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			w := newLiveWorld(t, engine)
			w.instance("shop", "5511900000001")
			var written atomic.Int64
			var wg sync.WaitGroup
			for c := range 10 {
				wg.Go(func() {
					contact := w.wasim.Contact(fmt.Sprintf("55119860%05d", c))
					for n := range liveInbound / 10 {
						if _, err := contact.SendText(t.Context(), "5511900000001", fmt.Sprintf("%d from %d", n, c)); err != nil {
							t.Errorf("inbound: %v", err)
						}
						written.Add(1)
					}
				})
			}
			for _, at := range []int64{liveInbound / 4, liveInbound / 2, liveInbound * 3 / 4} {
				waitUntil(t, patience, func() bool { return written.Load() >= at })
				w.kill()
				w.start()
			}
			wg.Wait()
			var inbound []liveMessage
			waitUntil(t, patience, func() bool {
				inbound = w.messages("inbound")
				return len(inbound) >= liveInbound
			})
			seen := make(map[string]int)
			for _, m := range inbound {
				seen[m.Content.Body]++
			}
			if len(inbound) != liveInbound || len(seen) != liveInbound {
				t.Errorf("%d messages recorded, %d of them different; want %d", len(inbound), len(seen), liveInbound)
			}
		})
	}
}

// Ten instances that send at the same instant share one session database.
func TestInstancesThatSendAtTheSameInstantAreAllReadable(t *testing.T) {
	t.Parallel()
	w := newLiveWorld(t, lightEngine)
	const instances, each = 10, 10
	for n := range instances {
		w.instance(fmt.Sprintf("line-%d", n), fmt.Sprintf("55119000000%02d", n))
	}
	var wg sync.WaitGroup
	for n := range instances {
		wg.Go(func() {
			for i := range each {
				w.do(w.key, http.MethodPost, fmt.Sprintf("/v1/instances/line-%d/messages", n),
					fmt.Sprintf(`{"to":"+55119870%05d","text":"%d from %d"}`, i, i, n), http.StatusAccepted, nil)
			}
		})
	}
	wg.Wait()
	w.waitForAll(w.key, instances*each, "read")
	if got := len(w.wasim.Received()); got != instances*each {
		t.Errorf("the contacts could read %d messages of %d", got, instances*each)
	}
	for _, r := range w.wasim.Received() {
		if r.Retries > 0 {
			t.Errorf("%s was readable only after %d retries", r.WAMessageID, r.Retries)
		}
	}
}

// What is asked during an outage is accepted, waits, and is shown once.
func TestAnOutageOfTheNetworkLosesNothingThatWasAccepted(t *testing.T) {
	t.Parallel()
	w := newLiveWorld(t, lightEngine)
	w.instance("shop", "5511900000001")
	const asks = 200
	var accepted atomic.Int64
	sent := make(chan map[string][]string, 1)
	go func() { sent <- w.sendPaced("shop", 20, asks, 50*time.Millisecond, &accepted) }()

	waitUntil(t, patience, func() bool { return accepted.Load() >= asks/4 })
	if _, err := w.wasim.Inject(wasim.Fault{Name: wasim.FaultOutage, For: 5 * time.Second}); err != nil {
		t.Fatal(err)
	}
	want := <-sent
	if accepted.Load() != asks {
		t.Errorf("%d of %d calls were answered 202", accepted.Load(), asks)
	}
	w.waitForAll(w.key, asks, "read")
	w.exactlyOnce(want)
}

// sendPaced is sendMany with a gap between the calls.
func (w *liveWorld) sendPaced(name string, contacts, n int, gap time.Duration, accepted *atomic.Int64) map[string][]string {
	w.t.Helper()
	sent := make(map[string][]string)
	tick := time.NewTicker(gap)
	defer tick.Stop()
	for i := range n {
		<-tick.C
		to := fmt.Sprintf("55119870%05d", i%contacts)
		var m liveMessage
		status, err := w.try(w.key, http.MethodPost, "/v1/instances/"+name+"/messages", fmt.Sprintf(`{"to":"+%s","text":"message %d"}`, to, i), "", &m)
		if err != nil || status != http.StatusAccepted {
			w.t.Errorf("call %d was answered %d, %v; want 202", i, status, err)
			continue
		}
		sent[to] = append(sent[to], m.WAMessageID)
		accepted.Add(1)
	}
	return sent
}

// A connection that is lost again and again delays messages and does no more.
func TestASocketThatDropsEveryFewSecondsLosesAndDoublesNothing(t *testing.T) {
	t.Parallel()
	w := newLiveWorld(t, lightEngine)
	w.instance("shop", "5511900000001")
	w.wasim.SetRoundTrip(10 * time.Millisecond) // so that the sends last for some drops
	var accepted atomic.Int64
	done := make(chan struct{})
	var drops sync.WaitGroup
	drops.Go(func() {
		tick := time.NewTicker(2 * time.Second)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				w.wasim.Phone("5511900000001").Drop()
			}
		}
	})
	sent := w.sendPaced("shop", 20, 500, 20*time.Millisecond, &accepted)
	close(done)
	drops.Wait()
	w.waitForAll(w.key, 500, "read")
	w.exactlyOnce(sent)
}

// A lost acknowledgement holds its own message for a few seconds, and the
// others of the instance no longer than that.
func TestALostAckDoesNotHoldTheInstance(t *testing.T) {
	t.Parallel()
	w := newLiveWorld(t, lightEngine)
	w.instance("shop", "5511900000001")
	warm := w.send("shop", `{"to":"+5511987000001","text":"warm"}`)
	w.waitForStatus(warm.ID, "read")
	var lost atomic.Bool
	w.wasim.SetFaults(wasim.FaultPlan{Message: func(string, uint16, string) wasim.MessageFault {
		return wasim.MessageFault{NoAck: lost.CompareAndSwap(false, true)}
	}})
	began := time.Now()
	first := w.send("shop", `{"to":"+5511987000001","text":"its ack is lost"}`)
	second := w.send("shop", `{"to":"+5511987000002","text":"another"}`)
	w.waitForStatus(second.ID, "read")
	if took := time.Since(began); took > time.Minute { // whatsmeow itself would wait for 75 s
		t.Errorf("another message of the instance waited %s", took)
	}
	w.waitForStatus(first.ID, "read")
	w.exactlyOnce(map[string][]string{"5511987000001": {warm.WAMessageID, first.WAMessageID}, "5511987000002": {second.WAMessageID}})
}
