package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"portaria/gateway/gatewaytest"
	"portaria/instances/channeltest"
	"portaria/messaging"
	"portaria/wasim"
)

// sandboxNetwork plays on test instances.
type sandboxNetwork struct{ *rehearsal }

// Name implements channeltest.Network.
func (*sandboxNetwork) Name() string { return "sandbox" }

// Open implements channeltest.Network.
func (n *sandboxNetwork) Open(t *testing.T) channeltest.World {
	w := &sandboxWorld{sandboxNetwork: n}
	w.tenancy, w.key = n.workspace(t, messaging.Test)
	return w
}

// sandboxWorld is a workspace's test world.
type sandboxWorld struct {
	*sandboxNetwork
	tenancy messaging.Tenancy
	key     string
	phones  int
	people  int
}

// Key implements channeltest.World.
func (w *sandboxWorld) Key() string { return w.key }

// Unpaired implements channeltest.World.
func (*sandboxWorld) Unpaired() string { return `,"sandbox":{"paired":false}` }

// Phone implements channeltest.World.
func (w *sandboxWorld) Phone() string {
	w.phones++
	return fmt.Sprintf("55119700%05d", w.phones)
}

// Scan implements channeltest.World. The sandbox draws the phone that scans a QR.
func (w *sandboxWorld) Scan(t *testing.T, instanceID, _, _ string) {
	t.Helper()
	w.scan(t, w.tenancy, instanceID)
}

// Contact implements channeltest.World.
func (w *sandboxWorld) Contact(_ *testing.T, h channeltest.Habit) string {
	magic, ok := map[channeltest.Habit]string{
		channeltest.IsAbsent: "0009", channeltest.Blocks: "0010", channeltest.IsOff: "0011", channeltest.NeverReads: "0012",
		channeltest.Stutters: "0013", channeltest.Drops: "0014", channeltest.Throttles: "0015", channeltest.IsSlow: "0018",
		channeltest.Answers: "0019", channeltest.LogsOut: "0020", channeltest.Locks: "0021",
	}[h]
	if ok {
		return "1500555" + magic
	}
	w.people++
	return fmt.Sprintf("44770090%04d", w.people)
}

// Carried implements channeltest.World.
func (w *sandboxWorld) Carried(t *testing.T, number string) (ids []string) {
	t.Helper()
	answer := w.api.Expect(t, gatewaytest.Request{Method: http.MethodGet, Path: "/v1/sandbox/messages?limit=200", Token: w.key}, http.StatusOK, "")
	var page struct {
		Data []struct {
			WAMessageID string `json:"wa_message_id"`
			To          struct {
				WAID string `json:"wa_id"`
			}
		}
	}
	if err := json.Unmarshal(answer.Body, &page); err != nil {
		t.Fatal(err)
	}
	for _, c := range reversed(page.Data) {
		if strings.HasPrefix(c.To.WAID, number+"@") {
			ids = append(ids, c.WAMessageID)
		}
	}
	return ids
}

// Pass implements channeltest.World.
func (w *sandboxWorld) Pass(t *testing.T, d time.Duration) {
	t.Helper()
	w.api.Expect(t, gatewaytest.Request{
		Method: http.MethodPost, Path: "/v1/sandbox/clock/advance", Token: w.key, Body: fmt.Sprintf(`{"seconds":%g}`, d.Seconds()),
	}, http.StatusOK, "")
}

// liveNetwork plays on live instances that are linked to a simulated server.
type liveNetwork struct {
	*rehearsal
	phones, people atomic.Int64

	mu      sync.Mutex
	leaving map[string]bool // phones that unlink their devices with the next message
}

func newLiveNetwork(g *rehearsal) *liveNetwork {
	n := &liveNetwork{rehearsal: g, leaving: make(map[string]bool)}
	g.sim.SetFaults(wasim.FaultPlan{Message: n.strike})
	return n
}

// strike unlinks the device of a phone that was to leave, when it sends.
func (n *liveNetwork) strike(number string, _ uint16, _ string) wasim.MessageFault {
	n.mu.Lock()
	leaves := n.leaving[number]
	delete(n.leaving, number)
	n.mu.Unlock()
	if !leaves {
		return wasim.MessageFault{}
	}
	// The fault is known to the server, and the number is one.
	_, _ = n.sim.Inject(wasim.Fault{Name: wasim.FaultDeviceRemoved, Number: number})
	return wasim.MessageFault{Lose: true, NoAck: true}
}

// Name implements channeltest.Network.
func (*liveNetwork) Name() string { return "whatsapp" }

// Open implements channeltest.Network.
func (n *liveNetwork) Open(t *testing.T) channeltest.World {
	w := &liveStory{liveNetwork: n}
	_, w.key = n.workspace(t, messaging.Live)
	return w
}

// liveStory is a workspace's live world.
type liveStory struct {
	*liveNetwork
	key   string
	phone string // that was linked last
}

// Key implements channeltest.World.
func (w *liveStory) Key() string { return w.key }

// Unpaired implements channeltest.World.
func (*liveStory) Unpaired() string { return "" }

// Phone implements channeltest.World.
func (w *liveStory) Phone() string { return fmt.Sprintf("55119700%05d", w.phones.Add(1)) }

// Scan implements channeltest.World.
func (w *liveStory) Scan(t *testing.T, _, phone, code string) {
	t.Helper()
	take := w.sim.Phone(phone).ScanQR
	if len(code) == len("ABCD-1234") {
		take = w.sim.Phone(phone).TypeCode
	}
	if err := take(t.Context(), code); err != nil {
		t.Fatalf("link %s: %v", phone, err)
	}
	w.phone = phone
}

// Contact implements channeltest.World.
func (w *liveStory) Contact(t *testing.T, h channeltest.Habit) string {
	t.Helper()
	number := fmt.Sprintf("44770090%04d", w.people.Add(1)) // no other way to write it, as in Brazil
	c := w.sim.Contact(number)
	switch h {
	case channeltest.Reads:
	case channeltest.Answers:
		c.AnswerWith(echo)
	case channeltest.NeverReads:
		c.Reads(false)
	case channeltest.IsOff:
		c.Delivers(false)
	case channeltest.Blocks:
		c.Blocked(true)
	case channeltest.IsAbsent:
		c.Exists(false)
	case channeltest.Stutters:
		w.inject(t, wasim.Fault{Name: wasim.FaultAckError, Contact: number, Code: 479, Count: 2})
	case channeltest.Drops:
		w.inject(t, wasim.Fault{Name: wasim.FaultLostFrame, Contact: number})
	case channeltest.IsSlow:
		w.inject(t, wasim.Fault{Name: wasim.FaultSlowAck, Contact: number, Delay: time.Second})
	case channeltest.Throttles:
		w.inject(t, wasim.Fault{Name: wasim.FaultAckError, Contact: number, Code: 429, Count: wasim.UntilCleared})
	case channeltest.Locks:
		w.inject(t, wasim.Fault{Name: wasim.FaultAckError, Contact: number, Code: 463})
	case channeltest.LogsOut:
		w.mu.Lock()
		defer w.mu.Unlock()
		w.leaving[w.phone] = true
	default:
		t.Fatalf("nobody %s", h)
	}
	return number
}

// echo is what the sandbox answers, too.
func echo(r wasim.Received) string {
	if r.Message.GetReactionMessage() != nil {
		return "reaction"
	}
	return r.Text()
}

func (w *liveStory) inject(t *testing.T, f wasim.Fault) {
	t.Helper()
	if _, err := w.sim.Inject(f); err != nil {
		t.Fatalf("%s: %v", f.Name, err)
	}
}

// Carried implements channeltest.World. Edits and deletions come as messages of
// their own, which nobody is shown.
func (w *liveStory) Carried(_ *testing.T, number string) (ids []string) {
	for _, r := range w.sim.Contact(number).Received() {
		if r.Message.GetProtocolMessage() == nil && r.Message.GetEditedMessage() == nil {
			ids = append(ids, r.WAMessageID)
		}
	}
	return ids
}

// Pass implements channeltest.World: nothing takes long here.
func (*liveStory) Pass(*testing.T, time.Duration) {}
