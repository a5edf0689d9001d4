package webhooks_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"portaria/events/webhooks"
)

// BenchmarkDeliver measures deliveries over real connections to receivers in the
// same process, by a queue in memory: what signing, posting and the lanes cost.
func BenchmarkDeliver(b *testing.B) {
	for _, endpoints := range []int{1, 10} {
		b.Run(fmt.Sprintf("endpoints=%d", endpoints), func(b *testing.B) {
			w := newWorld(b)
			w.start(func(o *webhooks.DispatcherOptions) { o.Timings = webhooks.Timings{} })
			var told atomic.Int64
			server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				io.Copy(io.Discard, r.Body)
				told.Add(1)
			}))
			b.Cleanup(server.Close)
			for range endpoints {
				w.webhook(server.URL)
			}
			w.idle()
			b.ReportAllocs()
			for b.Loop() { // one is a thousand events
				for range 1000 {
					w.event("ins_a")
				}
				w.idle()
			}
			if got, want := told.Load(), int64(b.N*endpoints*1000); got != want {
				b.Errorf("%d deliveries, want %d", got, want)
			}
			b.ReportMetric(float64(told.Load())/b.Elapsed().Seconds(), "deliveries/s")
		})
	}
}

// BenchmarkSign measures the signature of an event of usual size.
func BenchmarkSign(b *testing.B) {
	secret, body, at := webhooks.NewSecret(), make([]byte, 900), time.Now()
	b.ReportAllocs()
	for b.Loop() {
		webhooks.Sign(secret, "evt_01kzq2v7rj0000000001m5x2ab", at, body)
	}
}

// BenchmarkQueued measures what a commit pays to tell ten lanes that have work.
func BenchmarkQueued(b *testing.B) {
	w := newWorld(b)
	w.start()
	var ids []string
	for range 10 {
		ids = append(ids, w.webhook("http://127.0.0.1:1/").ID)
	}
	w.idle()
	b.ReportAllocs()
	for b.Loop() {
		w.dispatcher.Queued(ids)
	}
	w.idle()
}
