package gateway

import (
	"errors"
	"net"
	"os"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// What the runtime knows of a deadline is never later than it was asked for, and
// leaves a wait nearly all of its time.
func TestDeadlinesAreKept(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var d deadline
		now := time.Unix(1_800_000_000, 0)
		for range rapid.IntRange(1, 50).Draw(rt, "waits") {
			now = now.Add(time.Duration(rapid.Int64Range(0, int64(10*time.Second)).Draw(rt, "passed")))
			d.wanted = time.Time{}
			if rapid.IntRange(0, 9).Draw(rt, "none") > 0 {
				d.wanted = now.Add(time.Duration(rapid.Int64Range(-int64(time.Second), int64(2*time.Minute)).Draw(rt, "wait")))
			}
			if d.far(now) {
				d.known = d.wanted
			}
			switch wait := d.wanted.Sub(now); {
			case d.wanted.IsZero() != d.known.IsZero():
				rt.Fatalf("wanted %v, known %v", d.wanted, d.known)
			case d.wanted.IsZero():
			case d.known.After(d.wanted):
				rt.Fatalf("%v late", d.known.Sub(d.wanted))
			case wait > 0 && d.known.Sub(now) < wait*7/8:
				rt.Fatalf("%v left of %v", d.known.Sub(now), wait)
			}
		}
	})
}

func TestAReadThatWaitsHearsOfItsDeadline(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	polite := newPoliteListener(listener, time.Minute)
	defer polite.Close()
	client, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	conn, err := polite.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetReadDeadline(time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	read := make(chan error)
	go func() {
		_, err := conn.Read(make([]byte, 1))
		read <- err
	}()
	for { // until it waits, and if it does not yet, it hears of the deadline all the same
		if err := conn.SetReadDeadline(time.Unix(1, 0)); err != nil {
			t.Fatal(err)
		}
		select {
		case err := <-read:
			if !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("read: %v", err)
			}
			return
		case <-time.After(time.Millisecond):
		}
	}
}
