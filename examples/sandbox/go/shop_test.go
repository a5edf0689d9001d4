package shop

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"
)

// Magic recipients: what happens to a message is in the number.
const (
	readsIt       = "+15005550006"
	notANumber    = "+15005550001"
	notOnWhatsApp = "+15005550009"
)

// patience bounds a wait. It costs nothing where things work.
const patience = time.Minute

// world is a shop, and the sandbox in the place of WhatsApp.
type world struct {
	*testing.T
	*gateway

	shop    *Shop
	changes chan struct{} // has something when the shop has changed
	now     time.Time     // by the sandbox clock, when the test began
}

// open opens a shop whose clock is the test's to move.
func open(t *testing.T) *world {
	t.Helper()
	w := &world{T: t, gateway: startGateway(t), changes: make(chan struct{}, 1)}
	var clock struct{ Now time.Time }
	w.must(t, http.MethodPut, "/v1/sandbox/clock", map[string]string{"mode": "frozen"}, &clock)
	w.now = clock.Now
	w.must(t, http.MethodPost, "/v1/instances", map[string]string{"name": "shop"}, nil)

	w.shop = New(w.Portaria, "shop")
	w.shop.Changed = func() {
		select {
		case w.changes <- struct{}{}:
		default: // a change is told already
		}
	}
	receiver := httptest.NewServer(w.shop)
	t.Cleanup(receiver.Close)
	var webhook struct{ Secret string }
	w.must(t, http.MethodPost, "/v1/webhooks", map[string]any{
		"url": receiver.URL, "events": []string{"message.delivered", "message.failed", "message.received"},
	}, &webhook)
	w.shop.Secret = webhook.Secret
	return w
}

// in is the world as a part of the test sees it.
func (w *world) in(t *testing.T) *world {
	part := *w
	part.T = t
	return &part
}

// ready takes an order and tells its customer.
func (w *world) ready(o Order) {
	w.Helper()
	w.shop.Take(o)
	if err := w.shop.Ready(w.Context(), o.Number, w.now.Add(2*time.Hour)); err != nil {
		w.Fatal(err)
	}
}

// until waits for the shop to change so that something is true.
func (w *world) until(what string, happened func() bool) {
	w.Helper()
	late := time.After(patience)
	for !happened() {
		select {
		case <-w.changes:
		case <-late:
			w.Fatal(what + " does not happen")
		}
	}
}

// pass moves the sandbox clock. It comes back when all that came due is done.
func (w *world) pass(d time.Duration) {
	w.Helper()
	w.must(w.T, http.MethodPost, "/v1/sandbox/clock/advance", map[string]float64{"seconds": d.Seconds()}, nil)
}

// write has a customer write to the shop, and returns the message's id.
func (w *world) write(phone, text string) string {
	w.Helper()
	var m struct{ ID string }
	w.must(w.T, http.MethodPost, "/v1/sandbox/instances/shop/inbound", map[string]string{"from": phone, "text": text}, &m)
	return m.ID
}

// carried returns what customers have got, the oldest first.
func (w *world) carried() (texts []string) {
	w.Helper()
	var rows []struct{ Content struct{ Body string } }
	w.must(w.T, http.MethodGet, "/v1/sandbox/messages", nil, &rows)
	for _, row := range slices.Backward(rows) {
		texts = append(texts, row.Content.Body)
	}
	return texts
}

func TestShop(t *testing.T) {
	w := open(t)

	t.Run("a customer is told, and reminded two hours later", func(t *testing.T) {
		w := w.in(t)
		w.ready(Order{Number: "17", Phone: readsIt})
		w.pass(time.Second)
		w.until("delivery", func() bool { return w.shop.Order("17").Notice == Told })
		w.pass(2 * time.Hour)
		want := []string{"Your order 17 is ready.", "Your order 17 gets cold."}
		if got := w.carried(); !slices.Equal(got, want) {
			t.Errorf("the customer got %q, want %q", got, want)
		}
	})
	t.Run("who is not on WhatsApp is called", func(t *testing.T) {
		w := w.in(t)
		w.ready(Order{Number: "18", Phone: notOnWhatsApp})
		w.until("the failure", func() bool { return w.shop.Order("18").Notice == Call })
	})
	t.Run("a number that cannot be is called, too", func(t *testing.T) {
		w := w.in(t)
		w.ready(Order{Number: "19", Phone: notANumber})
		if got := w.shop.Order("19").Notice; got != Call {
			t.Errorf("the notice is %q, want %q", got, Call)
		}
	})
	t.Run("who asks for an order is answered", func(t *testing.T) {
		w := w.in(t)
		w.shop.Take(Order{Number: "20", Phone: "+5511912345678"})
		asked := w.write("+5511912345678", "Where is my order 20?")
		w.until("the answer", func() bool { return w.shop.Answered(asked) == "Order 20 is in the oven." })
	})
	t.Run("STOP is obeyed", func(t *testing.T) {
		w := w.in(t)
		w.write("+5511912345679", "stop")
		w.until("the stop", func() bool { return w.shop.Stopped("+5511912345679") })
		w.ready(Order{Number: "21", Phone: "+5511912345679"})
		if got := w.shop.Order("21").Notice; got != Unasked {
			t.Errorf("the notice is %q, want %q", got, Unasked)
		}
	})
}
