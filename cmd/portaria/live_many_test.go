package main

import (
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
)

// A house full of numbers in one process: all link, all send, and all come back
// when the network has been away.
func TestAHundredInstancesComeBackAfterTheNetworkRestarts(t *testing.T) {
	t.Parallel()
	const linkedAtOnce = 8
	w := newLiveWorld(t, lightEngine)
	name := func(n int) string { return fmt.Sprintf("line-%03d", n) }
	var work errgroup.Group
	work.SetLimit(linkedAtOnce)
	for n := range liveMany {
		work.Go(func() error {
			w.instance(name(n), fmt.Sprintf("5511900000%03d", n))
			return nil
		})
	}
	_ = work.Wait()
	if t.Failed() {
		t.FailNow()
	}
	w.sendFromEach(name, "before")
	w.waitForAll(w.key, liveMany, "read")

	began := time.Now()
	if err := w.wasim.Restart(); err != nil {
		t.Fatal(err)
	}
	w.sendFromEach(name, "after") // accepted while nobody is connected
	w.waitForAll(w.key, 2*liveMany, "read")
	t.Logf("%d instances have sent again %s after the restart", liveMany, time.Since(began).Round(100*time.Millisecond))

	seen := make(map[string]int)
	for _, r := range w.wasim.Received() {
		seen[r.From+" "+r.Text()]++
	}
	for n := range liveMany {
		for _, text := range []string{"before", "after"} {
			if got := seen[fmt.Sprintf("5511900000%03d %s", n, text)]; got != 1 {
				t.Errorf("%s: %q was shown %d times", name(n), text, got)
			}
		}
	}
}

// sendFromEach sends one message from each instance, all at once.
func (w *liveWorld) sendFromEach(name func(int) string, text string) {
	w.t.Helper()
	var calls sync.WaitGroup
	for n := range liveMany {
		calls.Go(func() {
			body := fmt.Sprintf(`{"to":"+55119870%05d","text":%q}`, n, text)
			status, err := w.try(w.key, http.MethodPost, "/v1/instances/"+name(n)+"/messages", body, "", nil)
			if err != nil || status != http.StatusAccepted {
				w.t.Errorf("%s: %d, %v", name(n), status, err)
			}
		})
	}
	calls.Wait()
}
