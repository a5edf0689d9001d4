package gateway_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portaria/auth"
	"portaria/events/stream"
	"portaria/gateway"
	"portaria/messaging"
)

// A stream and the history say the same of an event, letter by letter.
func TestStreamTellsWhatTheHistoryShows(t *testing.T) {
	h := open(t)
	token := h.key(t, "events:read", "whatsapp:manage")
	l := h.listen(t, token, "")
	for name, want := range map[string]string{"Cache-Control": "no-store", "X-Accel-Buffering": "no", "Portaria-Environment": "test"} {
		if got := l.header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	h.sent("ins_a", "Olá\r\nmundo")
	i := h.instance(t, "a")
	h.happen(messaging.Event{Type: messaging.EventInstanceConnected, WorkspaceID: workspace, Environment: messaging.Test, InstanceID: i.ID, Instance: &i})
	h.happen(messaging.Event{
		Type: messaging.EventCallReceived, WorkspaceID: workspace, Environment: messaging.Test, InstanceID: i.ID,
		Call: &messaging.Call{ID: "C1", At: time.Now()},
	})
	h.happen(messaging.Event{
		Type: messaging.EventWebhookDisabled, WorkspaceID: workspace, Environment: messaging.Test,
		Webhook: &messaging.Webhook{
			ID: "whk_x", URL: hookURL, Environment: messaging.Test, Events: []string{"*"}, Chats: messaging.AllChats,
			DisabledReason: messaging.ReasonGone, DisabledAt: time.Now(),
		},
	})
	var list struct{ Data []json.RawMessage }
	answer := h.Expect(t, get("/v1/events?after="+messaging.NewEventID(0, time.Now()), token), http.StatusOK, "")
	if err := json.Unmarshal(answer.Body, &list); err != nil {
		t.Fatal(err)
	}
	if len(list.Data) != 5 {
		t.Fatalf("%d events happened", len(list.Data))
	}
	for _, shown := range list.Data {
		var event struct{ ID, Type string }
		if err := json.Unmarshal(shown, &event); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(frame{id: event.ID, event: event.Type, data: string(shown)}, l.next(t), cmp.AllowUnexported(frame{})); diff != "" {
			t.Error(diff)
		}
	}
}

// A stream shows what its key may see and what was asked for, and never another
// world.
func TestStreamsAreFiltered(t *testing.T) {
	h := open(t)
	a, b := h.instance(t, "a"), h.instance(t, "b")
	token, locked := h.key(t, "*"), h.locked(t, []string{"events:read"}, a.ID)
	all, mine := h.listen(t, token, ""), h.listen(t, locked, "")
	one, kinds := h.listen(t, token, "?instance=b"), h.listen(t, token, "?type=instance.*,%20webhook.disabled")
	own := h.listen(t, locked, "?instance=a&type=*")
	h.happen(messaging.Event{Type: messaging.EventInstanceDeleted, WorkspaceID: "wsp_other", Environment: messaging.Test, InstanceID: a.ID, Instance: &a})
	h.happen(messaging.Event{Type: messaging.EventInstanceDeleted, WorkspaceID: workspace, Environment: messaging.Live, InstanceID: a.ID, Instance: &a})
	sentA, sentB := h.sent(a.ID, "x"), h.sent(b.ID, "x")
	banned := h.happen(messaging.Event{Type: messaging.EventInstanceBanned, WorkspaceID: workspace, Environment: messaging.Test, InstanceID: b.ID, Instance: &b})
	hook := messaging.Webhook{ID: "whk_x", Environment: messaging.Test, Events: []string{"*"}, Chats: messaging.AllChats}
	disabled := h.happen(messaging.Event{Type: messaging.EventWebhookDisabled, WorkspaceID: workspace, Environment: messaging.Test, Webhook: &hook})
	last := h.sent(a.ID, "last")
	for name, c := range map[string]struct {
		l    *listening
		want []string
	}{
		"all":                {all, []string{sentA.ID, sentB.ID, banned.ID, disabled.ID, last.ID}},
		"locked":             {mine, []string{sentA.ID, last.ID}},
		"one instance":       {one, []string{sentB.ID, banned.ID}},
		"kinds":              {kinds, []string{banned.ID, disabled.ID}},
		"locked and its own": {own, []string{sentA.ID, last.ID}},
	} {
		if diff := cmp.Diff(c.want, c.l.ids(t, len(c.want))); diff != "" {
			t.Errorf("%s:\n%s", name, diff)
		}
	}
	for query, code := range map[string]string{
		"?instance=b": "INSTANCE_NOT_ALLOWED", "?instance=nobody": "INSTANCE_NOT_ALLOWED",
	} {
		h.Expect(t, get("/v1/events/stream"+query, locked), http.StatusForbidden, code)
	}
	for _, query := range []string{"?type=message", "?type=message.nothing", "?type=a.*", "?type=message.*,", "?after=msg_x", "?after=1", "?since=1", "?type=*&type=*"} {
		h.Expect(t, get("/v1/events/stream"+query, token), http.StatusBadRequest, "BAD_REQUEST")
	}
	bad := get("/v1/events/stream", token)
	bad.Header = map[string]string{"Last-Event-ID": "12"}
	h.Expect(t, bad, http.StatusBadRequest, "BAD_REQUEST")
}

// What happened between two connections is told by the second one, whoever
// feeds it.
func TestStreamsResumeBehindTheLastEvent(t *testing.T) {
	streams := new(counted)
	h := open(t, func(o *gateway.Options) { o.Streams = streams })
	streams.hub.Store(h.hub)
	token := h.key(t, "*")
	l := h.listen(t, token, "")
	first := h.sent("ins_a", "1")
	l.ids(t, 1)
	l.cancel()
	var missed []string
	for n := range 300 {
		missed = append(missed, h.sent("ins_a", fmt.Sprint(n)).ID)
	}
	byHeader := h.listen(t, token, "?after="+missed[200], "Last-Event-ID", first.ID)
	if diff := cmp.Diff(missed, byHeader.ids(t, 300)); diff != "" {
		t.Error(diff)
	}
	byQuery := h.listen(t, token, "?after="+missed[200])
	if diff := cmp.Diff(missed[201:], byQuery.ids(t, 99)); diff != "" {
		t.Error(diff)
	}
	h.listenTo(streams, newHub(t, h.world))
	missed = append(missed, h.sent("ins_a", "by another hub").ID)
	if diff := cmp.Diff(missed[300:], h.listen(t, token, "", "Last-Event-ID", missed[299]).ids(t, 1)); diff != "" {
		t.Error(diff)
	}
	h.mu.Lock()
	h.forgotten = 100
	h.mu.Unlock()
	gap := h.listen(t, token, "", "Last-Event-ID", first.ID)
	if f := gap.next(t); f.event != "gap" || f.id != "" || f.data != `{"after":"`+first.ID+`","first":"`+missed[99]+`"}` {
		t.Errorf("instead of a gap: %+v", f)
	}
	if diff := cmp.Diff(missed[99:], gap.ids(t, 202)); diff != "" {
		t.Error(diff)
	}
}

// A key that was revoked must not go on hearing, whoever revoked it.
func TestStreamsEndWithTheirKey(t *testing.T) {
	t.Parallel() // it waits for most of its time
	for name, c := range map[string]struct {
		expires time.Duration
		revoke  func(t *testing.T, h *house, id string)
		want    string
	}{
		"revoked here":      {0, func(t *testing.T, h *house, id string) { h.Revoke(t, id) }, "UNAUTHORIZED"},
		"revoked elsewhere": {0, func(t *testing.T, h *house, id string) { h.ring.revokeElsewhere(id) }, "UNAUTHORIZED"},
		"expired":           {5 * time.Second, func(*testing.T, *house, string) {}, "KEY_EXPIRED"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := open(t)
			h.followKeys(t)
			id, token := h.Mint(t, auth.NewKey{Environment: messaging.Test, Scopes: []string{"*"}, AllInstances: true, ExpiresIn: c.expires})
			l, other := h.listen(t, token, ""), h.listen(t, h.key(t, "*"), "")
			told := h.sent("ins_a", "before")
			l.ids(t, 1)
			began := time.Now()
			c.revoke(t, h, id)
			stop := make(chan struct{})
			var busy sync.WaitGroup
			busy.Go(func() { // much happens meanwhile
				for {
					select {
					case <-stop:
						return
					case <-time.After(5 * time.Millisecond):
						h.sent("ins_a", "after")
					}
				}
			})
			var last frame
			for last = l.next(t); last.id != ""; last = l.next(t) {
			}
			close(stop)
			busy.Wait()
			took := time.Since(began) - c.expires
			if took > time.Second+slack {
				t.Errorf("the stream went on for %v", took)
			}
			var end struct {
				Code, Message string
				LastEventID   string `json:"last_event_id"`
			}
			if err := json.Unmarshal([]byte(last.data), &end); err != nil || last.event != "dropped" || end.Code != c.want || end.Message == "" || end.LastEventID < told.ID {
				t.Errorf("the end is %+v (%v)", last, err)
			}
			if _, more := <-l.frames; more {
				t.Error("the stream goes on")
			}
			other.ids(t, 1)
		})
	}
}

// slack is what a slow machine may add to a second: less than the time of a
// heartbeat, which would end the stream as well.
const slack = 9 * time.Second

func TestStreamsEndWithTheServer(t *testing.T) {
	h := open(t)
	l := h.listen(t, h.key(t, "*"), "", "Accept-Language", "pt-BR")
	told := h.sent("ins_a", "x")
	l.ids(t, 1)
	began := time.Now()
	if err := h.stop(); err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took > lastStop {
		t.Errorf("the stop took %v", took)
	}
	want := `{"code":"SHUTTING_DOWN","message":"O servidor está parando; tente de novo.","last_event_id":"` + told.ID + `"}`
	if f := l.end(t); f.data != want {
		t.Errorf("the end says %s", f.data)
	}
}

// A stream that was opened and never read holds nothing for ever, and those who
// read hear everything meanwhile.
func TestWhoNeverReadsIsCutAndDelaysNobody(t *testing.T) {
	streams := new(counted)
	h := open(t, func(o *gateway.Options) { o.Streams, o.WriteStall = streams, 2*time.Second })
	streams.hub.Store(h.hub)
	b := h.instance(t, "b")
	stuck := h.dialStream(t, h.key(t, "*"))
	waitFor(t, "the stream to open", func() bool { return streams.open.Load() == 1 })
	before := h.sent(b.ID, "x").ID // so that it does not matter when each begins to follow
	var listeners []*listening
	for range 5 {
		token := h.key(t, "*")
		for range 20 {
			listeners = append(listeners, h.listen(t, token, "?instance=b", "Last-Event-ID", before))
		}
	}
	const events = 400
	text := strings.Repeat("x", 64<<10) // more of it than the buffers of a connection hold
	want := make([]string, 0, events)
	for range events {
		h.sent("ins_a", text)
		want = append(want, h.sent(b.ID, "x").ID)
	}
	for i, l := range listeners {
		var got []string
		for range events {
			select {
			case f := <-l.frames:
				got = append(got, f.id)
			case <-time.After(patience):
				t.Fatalf("listener %d has heard %d", i, len(got))
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("listener %d:\n%s", i, diff)
		}
	}
	waitFor(t, "the one that never reads to be cut", func() bool { return streams.open.Load() == int64(len(listeners)) })
	stuck.Close()
}

// dialStream asks for a stream and reads nothing of it.
func (h *house) dialStream(t *testing.T, token string) net.Conn {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", h.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if _, err := fmt.Fprintf(conn, "GET /v1/events/stream HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n", token); err != nil {
		t.Fatal(err)
	}
	return conn
}

// Who falls behind is told where to go on from.
func TestWhoReadsTooSlowlyIsTold(t *testing.T) {
	streams := new(counted)
	h := open(t, func(o *gateway.Options) { o.Streams = streams })
	h.listenTo(streams, newHub(t, h.world, func(o *stream.Options) { o.Patience = time.Microsecond }))
	b, text := h.instance(t, "b"), strings.Repeat("x", 64<<10) // more of it than the buffers of a connection hold
	conn := h.dialStream(t, h.key(t, "*"))
	waitFor(t, "the stream to open", func() bool { return streams.open.Load() == 1 })
	quick := h.listen(t, h.key(t, "*"), "?instance=b")
	var ids []string
	for range 1000 {
		ids = append(ids, h.sent("ins_a", text).ID)
	}
	h.sent(b.ID, "all has been handed out")
	quick.ids(t, 1)
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var heard []string
	var last frame
	readFrames(answer.Body, func(f frame) bool {
		if f.id != "" {
			heard = append(heard, f.id)
		}
		last = f
		return true
	})
	if streams.slow.Load() != 1 || len(heard) == 0 || len(heard) == len(ids) || !cmp.Equal(heard, ids[:len(heard)]) {
		t.Fatalf("%d were dropped; heard %d of %d", streams.slow.Load(), len(heard), len(ids))
	}
	if last.event != "dropped" || !strings.HasPrefix(last.data, `{"code":"TOO_SLOW"`) || !strings.HasSuffix(last.data, `"last_event_id":"`+heard[len(heard)-1]+`"}`) {
		t.Errorf("the end is %+v", last)
	}
}

// One key that opens streams without end must leave some to the others, and one
// whose reader has gone must not count for ever.
func TestOneKeyCannotTakeAllStreamsOfEvents(t *testing.T) {
	streams := new(counted)
	h := open(t, func(o *gateway.Options) { o.Streams = streams })
	streams.hub.Store(h.hub)
	token, other := h.key(t, "*"), h.key(t, "*")
	var all []*listening
	for range 20 {
		all = append(all, h.listen(t, token, ""))
	}
	h.Expect(t, get("/v1/events/stream", token), http.StatusServiceUnavailable, "UNAVAILABLE")
	h.listen(t, other, "")
	for _, l := range all {
		l.cancel()
	}
	began := time.Now() // nothing is told meanwhile, which would show it too
	waitFor(t, "the streams to be noticed as gone", func() bool { return streams.open.Load() == 1 })
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("noticed after %s, which is the heartbeats' merit", took)
	}
	h.listen(t, token, "")
}

func TestHeadOpensNoStreamOfEvents(t *testing.T) {
	streams := new(counted)
	h := open(t, func(o *gateway.Options) { o.Streams = streams })
	streams.hub.Store(h.hub)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodHead, h.URL()+"/v1/events/stream", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+h.key(t, "*"))
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusOK || streams.open.Load() != 0 {
		t.Errorf("%s, %d streams", answer.Status, streams.open.Load())
	}
}
