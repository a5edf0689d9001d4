package main

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"portaria/store/storetest"
)

const (
	crashInstances = 5
	// crashBacklog messages wait for one time, in the order of their answers,
	// while the server is killed around them.
	crashBacklog = 300
)

// killsAt are the numbers of accepted messages at which the server is killed.
var killsAt = []int64{crashSends / 7, crashSends * 2 / 5, crashSends * 7 / 10}

// After a 202 neither kill -9 nor a lost answer may lose a message or carry it
// twice, and each instance's order holds. Senders repeat what got no answer
// under the same Idempotency-Key, as a careful script does: that covers the
// crash between the claim and the answer.
func TestKillingTheServerDuringSendsLosesAndDoublesNothing(t *testing.T) {
	t.Parallel()
	for _, engine := range heavyEngines() {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			g := newGateway(t, storetest.Options(t, engine))
			g.start()
			key := g.mint("--scope", "*", "--all-instances", "--rate-per-minute", "10000000", "--rate-burst", "1000000")
			names := make([]string, crashInstances)
			for n := range names {
				names[n] = fmt.Sprintf("line-%d", n)
				g.do(key, http.MethodPost, "/v1/instances", fmt.Sprintf(`{"name":%q}`, names[n]), http.StatusCreated, nil)
			}

			backlog := scheduleBacklog(t, g, key)
			var accepted atomic.Int64
			killer := make(chan struct{})
			go func() {
				defer close(killer)
				for _, at := range killsAt {
					waitUntil(t, patience, func() bool { return accepted.Load() >= at })
					g.kill()
					g.start()
				}
			}()
			sent := sendFromAll(t, g, key, names, crashSends, &accepted)
			<-killer

			g.waitForAll(key, crashSends+crashBacklog, "read")
			for instance, ids := range backlog {
				sent[instance] = ids
			}
			checkCarriages(t, g.carriages(key), sent)
		})
	}
}

// scheduleBacklog accepts messages of an instance of their own, all due at one
// time a few seconds ahead, and returns their ids by that instance.
func scheduleBacklog(t *testing.T, g *gatewayProcess, key string) map[string][]string {
	t.Helper()
	g.do(key, http.MethodPost, "/v1/instances", `{"name":"backlog"}`, http.StatusCreated, nil)
	at := time.Now().Add(4 * time.Second).UTC().Format(time.RFC3339Nano)
	var instance string
	var ids []string
	for n := range crashBacklog {
		var m struct {
			ID         string `json:"id"`
			InstanceID string `json:"instance_id"`
		}
		body := fmt.Sprintf(`{"to":"+1202555%04d","text":"later %d","send_at":%q}`, n%20, n, at)
		if err := g.insist(key, "/v1/instances/backlog/messages", body, "later-"+strconv.Itoa(n), &m); err != nil {
			t.Fatal(err)
		}
		instance, ids = m.InstanceID, append(ids, m.ID)
	}
	return map[string][]string{instance: ids}
}

// sendFromAll sends so many messages, each instance's one after another, and
// returns the ids in the order of their answers, by instance.
func sendFromAll(t *testing.T, g *gatewayProcess, key string, names []string, sends int, accepted *atomic.Int64) map[string][]string {
	t.Helper()
	var mu sync.Mutex
	sent := make(map[string][]string)
	var wg sync.WaitGroup
	for _, name := range names {
		wg.Go(func() {
			var ids []string
			var instance string
			for n := range sends / len(names) {
				var m struct {
					ID         string `json:"id"`
					InstanceID string `json:"instance_id"`
				}
				body := fmt.Sprintf(`{"to":"+1202555%04d","text":"%s %d"}`, n%100, name, n)
				if err := g.insist(key, "/v1/instances/"+name+"/messages", body, name+"-"+strconv.Itoa(n), &m); err != nil {
					t.Error(err)
					return
				}
				ids, instance = append(ids, m.ID), m.InstanceID
				accepted.Add(1)
			}
			mu.Lock()
			defer mu.Unlock()
			sent[instance] = ids
		})
	}
	wg.Wait()
	return sent
}

// checkCarriages compares what the simulated network carried with what was
// accepted.
func checkCarriages(t *testing.T, carried []carriage, sent map[string][]string) {
	t.Helper()
	got := make(map[string][]string)
	byWhatsAppID := make(map[string]int)
	for _, c := range carried {
		got[c.InstanceID] = append(got[c.InstanceID], c.MessageID)
		if byWhatsAppID[c.WAMessageID]++; byWhatsAppID[c.WAMessageID] > 1 {
			t.Errorf("%s was carried %d times", c.WAMessageID, byWhatsAppID[c.WAMessageID])
		}
	}
	for instance, want := range sent {
		if len(got[instance]) != len(want) {
			t.Errorf("instance %s carried %d messages of %d", instance, len(got[instance]), len(want))
			continue
		}
		for n := range want {
			if got[instance][n] != want[n] {
				t.Errorf("instance %s: message %d of its answers was carried out of order", instance, n)
				break
			}
		}
	}
}

// A full disk refuses with 503; what was answered 202 before, and what is
// accepted once there is room again, is all sent.
func TestAFullDiskLosesNothingThatWasAccepted(t *testing.T) {
	t.Parallel()
	g := newGateway(t, storetest.Options(t, "sqlite"))
	g.start()
	key := g.mint("--scope", "*", "--all-instances", "--rate-per-minute", "10000000", "--rate-burst", "1000000")
	g.do(key, http.MethodPost, "/v1/instances", `{"name":"one"}`, http.StatusCreated, nil)
	g.kill()

	// Files of this server cannot grow beyond 2 MiB: to it, the disk is full.
	g.fileLimitKiB = 2048
	g.start()
	accepted := make(map[string]bool)
	text := strings.Repeat("x", 4000)
	refused := 0
	for n := 0; n < 3000 && refused < 20; n++ {
		var m struct {
			ID string `json:"id"`
		}
		status, err := g.try(key, http.MethodPost, "/v1/instances/one/messages", fmt.Sprintf(`{"to":"+12025550%03d","text":%q}`, n%100, text), "", &m)
		switch {
		case err == nil && status == http.StatusAccepted:
			accepted[m.ID] = true
		case status == http.StatusServiceUnavailable:
			refused++
		default:
			t.Fatalf("message %d: status %d, %v", n, status, err)
		}
	}
	if refused == 0 || len(accepted) == 0 {
		t.Fatalf("%d accepted, %d refused: the disk never was full", len(accepted), refused)
	}
	g.kill()
	g.fileLimitKiB = 0
	g.start()
	g.waitForAll(key, len(accepted), "read")
	carried := make(map[string]int)
	for _, c := range g.carriages(key) {
		carried[c.MessageID]++
	}
	for id := range accepted {
		if carried[id] != 1 {
			t.Errorf("accepted message %s was carried %d times", id, carried[id])
		}
	}
}
