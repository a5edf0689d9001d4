package gateway

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// Requests share contexts. Each must still have its whole time, and not much more.
func TestEveryRequestHasItsWholeTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDeadlines(time.Minute)
		for range 200 { // more than a minute of requests
			began := time.Now()
			until, ok := d.next().Deadline()
			if has := until.Sub(began); !ok || has < time.Minute || has > time.Minute+time.Second {
				t.Fatalf("a request has %v, %v", has, ok)
			}
			time.Sleep(370 * time.Millisecond)
		}
		ctx := d.next()
		<-ctx.Done()
		if !errors.Is(ctx.Err(), context.DeadlineExceeded) {
			t.Error(ctx.Err())
		}
	})
}
