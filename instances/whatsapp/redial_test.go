package whatsapp

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func newRedial() redial { return redial{least: time.Second, most: time.Minute} }

// A connection that is ended as soon as it is made must not be made again every
// second for ever: that looks like an attack, and is one on us.
func TestAFlappingConnectionIsDialledEverMoreSeldom(t *testing.T) {
	for name, s := range map[string]spell{
		"never made":              {},
		"ended after the login":   {lasted: time.Millisecond},
		"ended after two seconds": {lasted: 2 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			r, dials := newRedial(), 0
			for at := time.Duration(0); at < time.Hour; dials++ {
				at += s.lasted + r.after(s)
			}
			if dials > 130 {
				t.Errorf("dialled %d times in an hour", dials)
			}
			if r.last < 30*time.Second {
				t.Errorf("the last delay is %s", r.last)
			}
		})
	}
}

// One that has lasted comes back at once, however bad the time before it was.
func TestASteadyConnectionBeginsAnew(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := newRedial()
		for range rapid.IntRange(0, 40).Draw(t, "failures") {
			r.after(spell{lasted: time.Millisecond})
		}
		lasted := rapid.Int64Range(int64(5*time.Minute), int64(time.Hour)).Draw(t, "lasted")
		if d := r.after(spell{lasted: time.Duration(lasted)}); d > time.Second {
			t.Fatalf("comes back after %s", d)
		}
	})
}

// While messages get through between two cuts, the rest does not wait a minute
// for its turn.
func TestAConnectionThatCarriesIsNotWaitedForLong(t *testing.T) {
	r := newRedial()
	for range 50 {
		if d := r.after(spell{lasted: 100 * time.Millisecond, carried: true}); d > 4*time.Second {
			t.Fatalf("comes back after %s", d)
		}
	}
}
