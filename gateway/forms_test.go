package gateway

import (
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
)

// Accept is a stranger's text: whatever it says, the answer is one of the forms
// that the route has.
func FuzzAccept(f *testing.F) {
	for _, seed := range []string{"", "*/*", "image/*;q=0.5", "text/event-stream", "image/png;q=NaN", "image/png;q=1;q=2", ";;,,=", "image/png;charset=x;q=.3"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, accept string) {
		for _, mediaType := range qrForms {
			if q := acceptance([]byte(accept), mediaType); !(q >= 0 && q <= 1) {
				t.Fatalf("Accept %q gives %s the weight %v", accept, mediaType, q)
			}
		}
	})
}

// The memory of who guessed is bounded, and forgets those who were patient
// before those who were not.
func TestThrottlesForgetThePatient(t *testing.T) {
	now := time.Now()
	guesses := newThrottle(60, 1)
	for n := range maxThrottled - 1 {
		if err := guesses.take(fmt.Sprint(n), now, 1); err != nil {
			t.Fatal(err)
		}
	}
	later := now.Add(time.Minute)
	if err := guesses.take("guesser", later, 1); err != nil {
		t.Fatal(err)
	}
	if err := guesses.take("newcomer", later, 1); err != nil {
		t.Fatal(err)
	}
	if held := len(guesses.buckets); held != 2 {
		t.Errorf("%d are remembered", held)
	}
	if err := guesses.take("guesser", later, 0); err == nil {
		t.Error("the guesser was forgotten")
	}
	if err := guesses.take("nobody", later, 0); err != nil || len(guesses.buckets) != 2 {
		t.Errorf("looking at who has done nothing: %v, %d are remembered", err, len(guesses.buckets))
	}
}

// The addresses of one household are one stranger.
func TestStrangersAreHouseholds(t *testing.T) {
	s := bare()
	for address, want := range map[string]string{
		"203.0.113.7": "203.0.113.7", "2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64", "2001:db8:1:2::9": "2001:db8:1:2::/64",
	} {
		var c fasthttp.RequestCtx
		c.Init(&fasthttp.Request{}, tcpAddress(t, address), nil)
		x := &exchange{server: s, http: &c}
		if got := x.stranger(); got != want {
			t.Errorf("%s is %s, want %s", address, got, want)
		}
	}
}

func tcpAddress(t *testing.T, ip string) net.Addr {
	t.Helper()
	addr, err := netip.ParseAddr(ip)
	if err != nil {
		t.Fatal(err)
	}
	return net.TCPAddrFromAddrPort(netip.AddrPortFrom(addr, 4711))
}
