package natssink_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"

	"portaria/events/natssink"
	"portaria/internal/testpg"
	"portaria/messaging"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(testpg.Around(m)) }

// The worlds of most tests.
var (
	live  = messaging.World{WorkspaceID: "wsp_1", Environment: messaging.Live}
	test  = messaging.World{WorkspaceID: "wsp_1", Environment: messaging.Test}
	other = messaging.World{WorkspaceID: "wsp_2", Environment: messaging.Live}
)

func newEvent(w messaging.World, sequence int64) messaging.Event {
	at := time.Unix(1_790_000_000+sequence, 0)
	return messaging.Event{
		ID: messaging.NewEventID(sequence, at), Sequence: sequence, Type: messaging.EventMessageReceived,
		WorkspaceID: w.WorkspaceID, Environment: w.Environment, InstanceID: "ins_1", Timestamp: at,
	}
}

func render(e messaging.Event) ([]byte, error) {
	return fmt.Appendf(nil, `{"id":%q,"sequence":%d}`, e.ID, e.Sequence), nil
}

// options are quick ones: tests wait for every retry.
func options(s natssink.Store, url string) natssink.Options {
	return natssink.Options{
		Store: s, URL: url, Render: render, Logger: slog.New(slog.DiscardHandler),
		Poll: 50 * time.Millisecond, Gather: time.Millisecond,
		RetryFirst: 10 * time.Millisecond, RetryMost: 100 * time.Millisecond,
	}
}

// run runs a sink until stop, or until the test ends.
func run(t *testing.T, o natssink.Options) (sink *natssink.Sink, stop func()) {
	t.Helper()
	sink, err := natssink.New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- sink.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("Run ended with %v", err)
			}
		case <-time.After(patience):
			t.Error("Run did not end")
		}
	})
	t.Cleanup(stop)
	return sink, stop
}

// begin lets a sink settle its beginning in an empty store.
func begin(t *testing.T, s *shelf) {
	t.Helper()
	eventually(t, "the sink has begun", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		_, ok := s.cursors[messaging.World{}]
		return ok
	})
}

// ids are those of events, and of the messages of a world in a stream's order.
func ids(events []messaging.Event) (out []string) {
	for i := range events {
		out = append(out, events[i].ID)
	}
	return out
}

func published(messages []*jetstream.RawStreamMsg, w messaging.World) (out []string) {
	prefix := fmt.Sprintf("portaria.%s.%s.", w.Environment, w.WorkspaceID)
	for _, m := range messages {
		if strings.HasPrefix(m.Subject, prefix) {
			out = append(out, m.Header.Get(nats.MsgIdHdr))
		}
	}
	return out
}

// expect waits until the cursors of worlds are at their heads, and then compares
// the stream: each event once, in order.
func expect(t *testing.T, s *shelf, on *server, worlds ...messaging.World) {
	t.Helper()
	for _, w := range worlds {
		s.mu.Lock()
		events := s.events[w]
		s.mu.Unlock()
		eventually(t, fmt.Sprintf("the cursor of %v", w), func() bool { return s.cursor(w) >= int64(len(events)) })
	}
	contents := on.contents("PORTARIA")
	for _, w := range worlds {
		if diff := cmp.Diff(published(contents, w), ids(s.events[w])); diff != "" {
			t.Errorf("the stream's events of %v (-got +want):\n%s", w, diff)
		}
	}
}

// TestEventsArePublishedAsTheyAre shows what a consumer relies on: subjects,
// headers, payload, and the stream's own settings.
func TestEventsArePublishedAsTheyAre(t *testing.T) {
	on, s := newServer(t, jetStream).start(), newShelf()
	sink, _ := run(t, options(s, on.url("", "")))
	begin(t, s)
	connected := newEvent(test, 2)
	connected.Type = messaging.EventInstanceConnected
	webhook := newEvent(test, 3)
	webhook.Type, webhook.InstanceID = messaging.EventWebhookDisabled, ""
	trial := newEvent(test, 4)
	trial.Type = messaging.EventWebhookTest // told to its endpoint alone
	s.change(func() { s.events[test] = []messaging.Event{newEvent(test, 1), connected, webhook, trial} })
	sink.Tell(s.events[test])
	if err := sink.Idle(t.Context(), test.WorkspaceID); err != nil {
		t.Fatal(err)
	}
	if got := s.cursor(test); got != 4 {
		t.Errorf("cursor %d, want 4", got)
	}

	type message struct{ Subject, ID, Type, Sequence, Body string }
	var got []message
	for _, m := range on.contents("PORTARIA") {
		got = append(got, message{
			m.Subject, m.Header.Get(nats.MsgIdHdr), m.Header.Get("Portaria-Event-Type"), m.Header.Get("Portaria-Sequence"), string(m.Data),
		})
	}
	var want []message
	for i, subject := range []string{
		"portaria.test.wsp_1.ins_1.message.received", "portaria.test.wsp_1.ins_1.instance.connected", "portaria.test.wsp_1._.webhook.disabled",
	} {
		e := s.events[test][i]
		body, _ := render(e)
		want = append(want, message{subject, e.ID, string(e.Type), strconv.Itoa(i + 1), string(body)})
	}
	if diff := cmp.Diff(got, want); diff != "" {
		t.Errorf("the stream (-got +want):\n%s", diff)
	}
	stream, err := on.admin().Stream(t.Context(), "PORTARIA")
	if err != nil {
		t.Fatal(err)
	}
	config := stream.CachedInfo().Config
	if config.MaxAge != 30*24*time.Hour || config.Duplicates < 2*time.Minute || config.Storage != jetstream.FileStorage ||
		config.Retention != jetstream.LimitsPolicy || !cmp.Equal(config.Subjects, []string{"portaria.>"}) {
		t.Errorf("the stream was made so: %+v", config)
	}
}

// TestStreamOfTheOperatorIsLeftAsItIs: replicas and limits are the operator's.
func TestStreamOfTheOperatorIsLeftAsItIs(t *testing.T) {
	on, s := newServer(t, jetStream).start(), newShelf()
	made, err := on.admin().CreateStream(t.Context(), jetstream.StreamConfig{
		Name: "OURS", Subjects: []string{"acme.wa.>"}, MaxAge: time.Hour, Storage: jetstream.MemoryStorage, MaxMsgs: 1000,
	})
	if err != nil {
		t.Fatal(err)
	}
	o := options(s, on.url("", ""))
	o.Stream, o.Subjects = "OURS", "acme.wa"
	sink, _ := run(t, o)
	begin(t, s)
	sink.Tell(s.commit(live, 1))
	eventually(t, "the event is published", func() bool { return s.cursor(live) == 1 })
	found, err := on.admin().Stream(t.Context(), "OURS")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(found.CachedInfo().Config, made.CachedInfo().Config); diff != "" {
		t.Errorf("the stream was changed (-got +want):\n%s", diff)
	}
	if got := on.contents("OURS")[0].Subject; got != "acme.wa.live.wsp_1.ins_1.message.received" {
		t.Errorf("subject %q", got)
	}
}

// TestSinkBeginsAtTheHead: who switches NATS on does not get the events of a
// month; a world that appears later is told from its first event, also when the
// first look at it is another process's.
func TestSinkBeginsAtTheHead(t *testing.T) {
	on, s := newServer(t, jetStream).start(), newShelf()
	s.commit(live, 10)
	// The first start is cut short, as by a crash, with one of two worlds begun.
	s.commit(other, 5)
	s.refuse = func(w messaging.World, _ int64) error {
		if w == live {
			return nil
		}
		return errDown
	}
	_, stop := run(t, options(s, on.url("", "")))
	eventually(t, "one world has begun", func() bool { s.mu.Lock(); defer s.mu.Unlock(); return s.moves > 0 })
	stop()
	s.refuse = nil

	_, stop = run(t, options(s, on.url("", "")))
	begin(t, s)
	stop()
	s.commit(live, 2)
	s.commit(other, 2)
	s.commit(test, 300) // which had no events before

	run(t, options(s, on.url("", "")))
	expect(t, s, on, test)
	contents := on.contents("PORTARIA")
	if diff := cmp.Diff(published(contents, live), ids(s.events[live][10:])); diff != "" {
		t.Errorf("live (-got +want):\n%s", diff)
	}
	if diff := cmp.Diff(published(contents, other), ids(s.events[other][5:])); diff != "" {
		t.Errorf("other (-got +want):\n%s", diff)
	}
}

// TestEventsOfOtherProcessesAreFound: nobody tells of what a command line wrote.
func TestEventsOfOtherProcessesAreFound(t *testing.T) {
	on, s := newServer(t, jetStream).start(), newShelf()
	run(t, options(s, on.url("", "")))
	begin(t, s)
	s.commit(live, 3)
	s.commit(other, 700)
	expect(t, s, on, live, other)
}

// TestTellCostsNothing: it runs on the committer's goroutine, and most of the time
// the worlds that it names are known and wait already.
func TestTellCostsNothing(t *testing.T) {
	on, s := newServer(t, jetStream), newShelf() // which is down: nothing is taken away
	s.commit(live, 1)
	sink, _ := run(t, options(s, on.url("", "")))
	begin(t, s)
	told := s.commit(live, 100)
	least := 1.0
	for tries := 0; tries < 20 && least > 0; tries++ { // the sink itself, which tries to connect, allocates now and then
		least = min(least, testing.AllocsPerRun(100, func() { sink.Tell(told) }))
	}
	if least > 0 {
		t.Errorf("Tell allocates %v times", least)
	}
}

// TestIdleWaitsForTheTestWorld: a story with the test clock reads the stream next.
func TestIdleWaitsForTheTestWorld(t *testing.T) {
	on, s := newServer(t, jetStream).start(), newShelf()
	o := options(s, on.url("", ""))
	o.Poll = time.Hour
	sink, stop := run(t, o)
	begin(t, s)
	for n := int64(300); n <= 900; n += 300 {
		s.commit(test, 300) // of which nobody tells
		if err := sink.Idle(t.Context(), test.WorkspaceID); err != nil {
			t.Fatal(err)
		}
		if got := s.cursor(test); got < n {
			t.Fatalf("idle with the cursor at %d, want %d", got, n)
		}
	}
	ended, end := context.WithCancel(t.Context())
	end()
	for _, workspace := range []string{test.WorkspaceID, "wsp_of_no_events"} { // who has not the time to wait asks too
		if err := sink.Idle(ended, workspace); err != nil {
			t.Fatal(err)
		}
	}
	s.change(func() { s.refuse = func(messaging.World, int64) error { return errDown } })
	s.commit(test, 1)
	if err := sink.Idle(t.Context(), test.WorkspaceID); err != nil {
		t.Errorf("of a world that was refused just now: %v", err)
	}
	stop()
	if err := sink.Idle(t.Context(), test.WorkspaceID); err != nil {
		t.Errorf("after the end: %v", err)
	}
	s.change(func() { s.down = true })
	if err := sink.Idle(t.Context(), test.WorkspaceID); !errors.Is(err, errDown) {
		t.Errorf("without a database: %v", err)
	}
}

// TestSettingsAreRefusedWithoutQuotingThem: the URL holds a password.
func TestSettingsAreRefusedWithoutQuotingThem(t *testing.T) {
	tests := []struct {
		name, url, stream, subjects string
		want                        error
	}{
		{"one server", "nats://127.0.0.1:4222", "", "", nil},
		{"a token", "nats://s3cret@127.0.0.1:4222/", "S", "a.b", nil},
		{"several", "nats://a:s3cret@127.0.0.1, tls://b:s3cret@[::1]:4222", "", "", nil},
		{"none", "", "", "", natssink.ErrURL},
		{"no scheme", "127.0.0.1:4222", "", "", natssink.ErrURL},
		{"another scheme", "http://a:s3cret@127.0.0.1", "", "", natssink.ErrURL},
		{"no host", "nats://a:s3cret@", "", "", natssink.ErrURL},
		{"a path", "nats://a:s3cret@127.0.0.1/x", "", "", natssink.ErrURL},
		{"a bad port", "nats://a:s3cret@127.0.0.1:x", "", "", natssink.ErrURL},
		{"one of two", "nats://127.0.0.1,", "", "", natssink.ErrURL},
		{"a stream with a dot", "nats://127.0.0.1", "a.b", "", natssink.ErrNames},
		{"a wildcard", "nats://127.0.0.1", "", "a.*", natssink.ErrNames},
		{"an empty token", "nats://127.0.0.1", "", "a..b", natssink.ErrNames},
		{"the server's own subjects", "nats://127.0.0.1", "", "$JS", natssink.ErrNames},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			o := options(newShelf(), test.url)
			o.Stream, o.Subjects = test.stream, test.subjects
			_, err := natssink.New(o)
			if !errors.Is(err, test.want) || err != nil && strings.Contains(err.Error(), "s3cret") {
				t.Errorf("got %v, want %v", err, test.want)
			}
		})
	}
}

// journal is a log that tests read while it is written.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

// times returns when lines with these words were written.
func (j *journal) times(t *testing.T, words string) (out []time.Time) {
	t.Helper()
	for line := range strings.Lines(j.String()) {
		if !strings.Contains(line, words) {
			continue
		}
		text, _, _ := strings.Cut(strings.TrimPrefix(line, "time="), " ")
		at, err := time.Parse(time.RFC3339Nano, text)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, at)
	}
	return out
}

func (j *journal) logger() *slog.Logger { return slog.New(slog.NewTextHandler(j, nil)) }
