package auth

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"
	"unsafe"

	"portaria/messaging"
)

// BenchmarkAuthenticateHit is what authentication costs every request: at most
// 1.5 µs and one allocation, aimed at 0.75 µs and none.
func BenchmarkAuthenticateHit(b *testing.B) {
	h := newHouse(b)
	var tokens []string
	for i := range 1000 {
		_, token := h.create(b, named("k%d", i))
		tokens = append(tokens, token.Reveal())
	}
	h.load(b)
	for _, text := range tokens {
		if _, err := h.directory.Authenticate(b.Context(), text); err != nil {
			b.Fatal(err)
		}
	}
	ctx := context.Background()
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if _, err := h.directory.Authenticate(ctx, tokens[i%len(tokens)]); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkAuthenticateWrongSecret is what an attacker who knows an id can
// make a request cost.
func BenchmarkAuthenticateWrongSecret(b *testing.B) {
	h := newHouse(b)
	_, token := h.create(b)
	h.load(b)
	wrong := forge(token)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := h.directory.Authenticate(b.Context(), wrong); !errors.Is(err, ErrUnauthorized) {
			b.Fatal(err)
		}
	}
}

func BenchmarkTake(b *testing.B) {
	bucket := NewBucket(10_000_000, 1_000_000)
	b.ReportAllocs()
	for b.Loop() {
		bucket.Take(time.Now(), 1)
	}
}

// BenchmarkMemoryOfAKey reports the bytes a key keeps in a directory, with its
// bucket and its proof.
func BenchmarkMemoryOfAKey(b *testing.B) {
	for name, locked := range map[string]bool{"locked": true, "unlocked": false} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				b.ReportMetric(memoryOfAKey(b, locked), "B/key")
			}
		})
	}
}

// A key with its bucket keeps at most 512 bytes, and its entry fills a size
// class of the allocator: one more word would cost 32.
func TestMemoryOfAKey(t *testing.T) {
	if size := unsafe.Sizeof(entry{}); size > 240 {
		t.Errorf("an entry has %d bytes", size)
	}
	if size := unsafe.Sizeof(Bucket{}); size > 96 {
		t.Errorf("a bucket has %d bytes", size)
	}
	for name, locked := range map[string]bool{"locked": true, "unlocked": false} {
		if got := memoryOfAKey(t, locked); got > 512 {
			t.Errorf("%s: %.0f bytes a key", name, got)
		} else {
			t.Logf("%s: %.0f bytes a key", name, got)
		}
	}
}

// memoryOfAKey fills a directory with keys, each of which has been used, and
// returns the heap that it keeps for one. A locked key has an instance of its
// own, whose id and name are counted too.
func memoryOfAKey(t testing.TB, locked bool) float64 {
	t.Helper()
	const keys = 50_000
	h := newHouse(t)
	before := heap()
	h.directory.put(h.directory.begin(), manyRecords(keys, locked))
	for _, e := range h.directory.entries.Load().all() {
		e.proven.store(digest{1, 2})
		e.grant.Requests.Take(time.Now(), 1)
	}
	kept := heap() - before
	runtime.KeepAlive(h)
	return float64(kept) / keys
}

func manyRecords(n int, locked bool) []Record {
	records := make([]Record, n)
	for i := range records {
		id := fmt.Sprintf("key_%012d", i)
		r := Record{
			ID: id, Lineage: strings.Clone(id), Workspace: strings.Clone("wsp_00000000000000000000000000"), Environment: messaging.Test, Name: fmt.Sprintf("client %d", i),
			Hash: fmt.Sprintf("%060d", i), Tag: "00000001", Scopes: "whatsapp:send", AllInstances: !locked,
			RatePerMinute: 600, RateBurst: 100,
		}
		if locked {
			r.Instances = []AllowedInstance{{ID: fmt.Sprintf("ins_%026d", i), Name: fmt.Sprintf("client-%d", i)}}
		}
		records[i] = r
	}
	return records
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
