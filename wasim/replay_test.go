package wasim

import (
	"context"
	"log/slog"
	"slices"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
	waBinary "go.mau.fi/whatsmeow/binary"
)

// returning is a device of a server that was never started, and a connection
// that nobody writes: what leaves is taken from its outbox.
func returning() (*device, *conn) {
	s := &Server{log: slog.New(slog.DiscardHandler), accounts: map[string]*account{}}
	a := s.account("5511900000001")
	d := newDevice(a, 1, [32]byte{}, bundle{})
	return d, nextConn(s)
}

func nextConn(s *Server) *conn {
	ctx, cancel := context.WithCancel(context.Background())
	return &conn{srv: s, log: s.log, ctx: ctx, cancel: cancel, outbox: newOutbox()}
}

func numbered(i int) waBinary.Node {
	return waBinary.Node{Tag: "message", Attrs: waBinary.Attrs{"id": strconv.Itoa(i), "from": serverJID()}}
}

// written takes what leaves through c, one batch, and lists messages by id and
// the rest by what it is.
func written(t *testing.T, c *conn) []string {
	t.Helper()
	var all []string
	for _, item := range c.take() {
		n, err := readNode(item.plain)
		if err != nil {
			t.Fatal(err)
		}
		switch children := n.GetChildren(); {
		case n.Tag == "message":
			all = append(all, str(n, "id"))
		case len(children) == 1:
			all = append(all, children[0].Tag+" "+str(&children[0], "count"))
		default:
			all = append(all, n.Tag)
		}
	}
	return all
}

func ids(from, to int) []string {
	var all []string
	for i := from; i < to; i++ {
		all = append(all, strconv.Itoa(i))
	}
	return all
}

// TestLongestQueueIsReplayedAtOneLogin: what a device may have waiting does not
// fit into an outbox at once, and its client is not dropped for that.
func TestLongestQueueIsReplayedAtOneLogin(t *testing.T) {
	d, c := returning()
	defer c.drop()
	for i := range maxPending {
		d.deliver(numbered(i))
	}
	d.attach(c, waBinary.Node{Tag: "success"})
	if c.ctx.Err() != nil {
		t.Fatal("the client is dropped for what it has not been sent yet")
	}
	var got []string
	for len(got) < maxPending+3 {
		part := written(t, c)
		if len(part) > maxOutgoing/2 {
			t.Fatalf("%d stanzas at once leave no room for answers", len(part))
		}
		got = append(got, part...)
	}
	want := slices.Concat([]string{"success", "offline_preview 100000"}, ids(0, maxPending), []string{"offline 100000"})
	if !slices.Equal(got, want) {
		t.Errorf("%d stanzas from %v to %v, want %d from %v to %v", len(got), got[:5], got[len(got)-3:], len(want), want[:5], want[len(want)-3:])
	}
}

// TestReplayKeepsTheOrder: what comes during a replay comes after what has
// waited, what was acknowledged is not sent, and what was sent twice comes once,
// last.
func TestReplayKeepsTheOrder(t *testing.T) {
	const waiting = 3 * replayPart
	d, c := returning()
	defer c.drop()
	for i := range waiting {
		d.deliver(numbered(i))
	}
	d.attach(c, waBinary.Node{Tag: "success"})
	d.deliver(numbered(waiting))
	for _, gone := range []int{replayPart, replayPart + 1, waiting - 1} { // the next to be sent, and the last
		n := numbered(gone)
		d.acknowledged(keyOf(&n))
	}
	d.deliver(numbered(replayPart + 2)) // again, and it is the next
	var got []string
	for !slices.Contains(got, "offline "+strconv.Itoa(waiting+1-3)) && len(got) < 2*waiting {
		got = append(got, written(t, c)...)
	}
	d.deliver(numbered(waiting + 1))
	got = append(got, written(t, c)...)
	want := slices.Concat(
		[]string{"success", "offline_preview " + strconv.Itoa(waiting)},
		ids(0, replayPart), ids(replayPart+3, waiting-1), ids(waiting, waiting+1), ids(replayPart+2, replayPart+3),
		[]string{"offline " + strconv.Itoa(waiting+1-3)}, ids(waiting+1, waiting+2),
	)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("sent (-want +got):\n%s", diff)
	}
}

// TestReplayEndsWhenNothingIsLeftOfIt: the client learns that there is no more
// also when the rest was acknowledged meanwhile.
func TestReplayEndsWhenNothingIsLeftOfIt(t *testing.T) {
	d, c := returning()
	defer c.drop()
	d.deliver(numbered(0))
	for i := range replayPart {
		d.deliver(numbered(i + 1))
	}
	d.attach(c, waBinary.Node{Tag: "success"})
	last := numbered(replayPart)
	d.acknowledged(keyOf(&last))
	first := written(t, c)
	if got, want := written(t, c), []string{"offline " + strconv.Itoa(replayPart)}; len(first) != replayPart+2 || !slices.Equal(got, want) {
		t.Errorf("%d stanzas, then %v, want %v", len(first), got, want)
	}
}

// TestLaterLoginReplaysFromTheBeginning: nothing of what the first connection
// was not sent is missing on the second, and the first gets no more.
func TestLaterLoginReplaysFromTheBeginning(t *testing.T) {
	const waiting = 2 * replayPart
	d, first := returning()
	defer first.drop()
	for i := range waiting {
		d.deliver(numbered(i))
	}
	d.attach(first, waBinary.Node{Tag: "success"})
	second := nextConn(first.srv)
	defer second.drop()
	if d.attach(second, waBinary.Node{Tag: "success"}) != first {
		t.Error("the first connection is not given back to be ended")
	}
	written(t, first)
	first.drop()
	if late := first.take(); late != nil {
		t.Errorf("the first connection got %d more", len(late))
	}
	var got []string
	for len(got) < waiting+3 {
		got = append(got, written(t, second)...)
	}
	want := slices.Concat([]string{"success", "offline_preview 8192"}, ids(0, waiting), []string{"offline 8192"})
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("sent (-want +got):\n%s", diff)
	}
}
