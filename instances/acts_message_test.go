package instances_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portaria/instances"
	"portaria/internal/fault"
	"portaria/messaging"
	"portaria/outbox"
	"portaria/store"
	"portaria/store/storetest"
)

// chats is a network on which messages are acted, the journal and the messages
// of a real store, and a message that was sent.
type chats struct {
	t       *testing.T
	store   *store.Store
	tenancy messaging.Tenancy
	message messaging.Message
	acts    *instances.MessageActs
	now     time.Time

	mu      sync.Mutex
	channel messaging.Channel // nil: not connected
	done    []string          // what the network took
	refuses error
	during  func() // called while the network takes something
}

func newChats(t *testing.T, s *store.Store) *chats {
	t.Helper()
	w := storetest.Workspace(t, s, "w").Workspace()
	c := &chats{t: t, store: s, tenancy: messaging.NewTenancy(w, messaging.Live, messaging.AllInstances())}
	i := storetest.Instance(t, s, c.tenancy, "one")
	c.message = storetest.Message(i, "5511912345678", "helo")
	if err := s.Accept(t.Context(), outbox.Acceptance{Message: &c.message}, func(int64) {}); err != nil {
		t.Fatal(err)
	}
	c.now = c.message.CreatedAt.Add(time.Minute)
	if err := s.Report(t.Context(), messaging.StatusChange{
		WorkspaceID: w, Environment: messaging.Live, MessageID: c.message.ID, Status: messaging.StatusSent, At: c.message.CreatedAt,
	}); err != nil {
		t.Fatal(err)
	}
	c.channel = &actingLine{chats: c}
	c.acts = instances.NewMessageActs(instances.MessageActsOptions{
		Channels: c, Messages: s, Reporter: s, Now: func(*messaging.Message) time.Time { return c.now },
	})
	return c
}

// Channel implements instances.ChannelFinder.
func (c *chats) Channel(string) (messaging.Channel, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.channel, c.channel != nil
}

func (c *chats) connect(channel messaging.Channel) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.channel = channel
}

// take is the network's end of every act.
func (c *chats) take(what string) error {
	if c.during != nil {
		c.during()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.refuses == nil {
		c.done = append(c.done, what)
	}
	return c.refuses
}

func (c *chats) taken() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.done)
}

func (c *chats) edit(body string) (messaging.Message, error) {
	return c.acts.Edit(c.t.Context(), c.tenancy, c.message.ID, messaging.Edit{Text: &messaging.Text{Body: body}})
}

func (c *chats) revoke() (messaging.Message, error) {
	return c.acts.Revoke(c.t.Context(), c.tenancy, c.message.ID)
}

// told lists the types of the message's events behind the first two.
func (c *chats) told() (list []messaging.EventType) {
	c.t.Helper()
	events, err := c.store.Events(c.t.Context(), c.tenancy, messaging.EventFilter{
		MessageID: c.message.ID, After: messaging.NewEventID(0, time.Time{}),
	}, messaging.Page{Limit: 100})
	if err != nil {
		c.t.Fatal(err)
	}
	for _, e := range events[2:] {
		list = append(list, e.Type)
	}
	return list
}

// actingLine is a channel that can act on messages.
type actingLine struct {
	messaging.Channel
	chats *chats
}

func (l *actingLine) Edit(_ context.Context, m messaging.Message) error {
	return l.chats.take("edit to " + m.Content.Text.Body)
}

func (l *actingLine) Revoke(context.Context, messaging.Message) error { return l.chats.take("revoke") }

func (l *actingLine) Type(_ context.Context, _ messaging.Address, typing messaging.Typing) error {
	return l.chats.take(string(typing))
}

func (l *actingLine) MarkRead(context.Context, []messaging.Message) error {
	return l.chats.take("read")
}

// What the network took is recorded and shown, and a repeat asks the network for
// nothing.
func TestWhatTheNetworkTookIsRecordedOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		c := newChats(t, s)
		for range 2 {
			m, err := c.edit("hello")
			if err != nil || m.Content.Text.Body != "hello" || !m.EditedAt.Equal(c.now) {
				t.Errorf("%q, edited %v, %v", m.Content.Text.Body, m.EditedAt, err)
			}
		}
		for range 2 {
			m, err := c.revoke()
			if err != nil || !m.RevokedAt.Equal(c.now) || m.Content.Text.Body != "hello" {
				t.Errorf("%q, revoked %v, %v", m.Content.Text.Body, m.RevokedAt, err)
			}
		}
		if diff := cmp.Diff([]string{"edit to hello", "revoke"}, c.taken()); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff([]messaging.EventType{messaging.EventMessageEdited, messaging.EventMessageRevoked}, c.told()); diff != "" {
			t.Error(diff)
		}
		if _, err := c.edit("hello"); !errors.Is(err, fault.ErrConflict) {
			t.Errorf("edit of what was revoked: %v", err)
		}
	})
}

// A clock that was set back must not hide what was done last.
func TestTheLastEditIsTheLastWhateverTheClock(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		c := newChats(t, s)
		if _, err := c.edit("one"); err != nil {
			t.Fatal(err)
		}
		c.now = c.now.Add(-time.Second)
		if m, err := c.edit("two"); err != nil || m.Content.Text.Body != "two" {
			t.Errorf("%q, %v", m.Content.Text.Body, err)
		}
	})
}

// What the network did not take is not recorded, and who asks hears why.
func TestWhatTheNetworkDidNotTakeIsNotRecorded(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		c := newChats(t, s)
		for name, prepare := range map[string]struct {
			do   func()
			want error
		}{
			"refused":       {func() { c.refuses = messaging.ErrActRefused }, messaging.ErrActRefused},
			"too late":      {func() { c.now = c.message.CreatedAt.Add(100 * time.Hour) }, messaging.ErrTooOld},
			"not connected": {func() { c.connect(nil) }, instances.ErrNotConnected},
			"only sends":    {func() { c.connect(&line{network: newNetwork()}) }, fault.ErrUnavailable},
		} {
			now := c.now
			prepare.do()
			for act, do := range map[string]func() (messaging.Message, error){
				"edit": func() (messaging.Message, error) { return c.edit("hello") }, "revoke": c.revoke,
			} {
				if _, err := do(); !errors.Is(err, prepare.want) {
					t.Errorf("%s when %s: %v", act, name, err)
				}
			}
			c.refuses, c.now = nil, now
			c.connect(&actingLine{chats: c})
		}
		caption := "hello"
		if _, err := c.acts.Edit(t.Context(), c.tenancy, c.message.ID, messaging.Edit{Caption: &caption}); !errors.Is(err, fault.ErrValidation) {
			t.Errorf("caption of a text: %v", err)
		}
		theirs := messaging.NewTenancy(c.tenancy.Workspace(), messaging.Live, messaging.OnlyInstances())
		if _, err := c.acts.Revoke(t.Context(), theirs, c.message.ID); !errors.Is(err, fault.ErrNotFound) {
			t.Errorf("a message outside the tenancy: %v", err)
		}
		if done, told := c.taken(), c.told(); len(done) != 0 || len(told) != 0 {
			t.Errorf("the network took %v, recorded are %v", done, told)
		}
	})
}

// The network has it: that the caller goes away must not keep it from the record.
func TestWhoGoesAwayDoesNotTakeTheRecordAlong(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		c := newChats(t, s)
		ctx, leave := context.WithCancel(t.Context())
		c.during = leave
		if m, err := c.acts.Revoke(ctx, c.tenancy, c.message.ID); err != nil || m.RevokedAt.IsZero() {
			t.Errorf("revoked %v, %v", m.RevokedAt, err)
		}
	})
}

// Acts on one message take turns, or the record could end with what the network
// had first; who waits for a turn may give up.
func TestActsOnOneMessageTakeTurns(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		c := newChats(t, s)
		taking, goOn := make(chan struct{}), make(chan struct{})
		first := true
		c.during = func() {
			if first {
				first = false
				close(taking)
				<-goOn
			}
		}
		var callers sync.WaitGroup
		callers.Go(func() {
			if _, err := c.edit("one"); err != nil {
				t.Error(err)
			}
		})
		<-taking
		impatient, leave := context.WithCancel(t.Context())
		leave()
		if _, err := c.acts.Revoke(impatient, c.tenancy, c.message.ID); !errors.Is(err, fault.ErrUnavailable) {
			t.Errorf("without patience: %v", err)
		}
		callers.Go(func() {
			if _, err := c.edit("two"); err != nil {
				t.Error(err)
			}
		})
		close(goOn)
		callers.Wait()
		m, err := s.Message(t.Context(), c.tenancy, c.message.ID)
		if err != nil || m.Content.Text.Body != "two" {
			t.Errorf("%q is recorded, %v", m.Content.Text.Body, err)
		}
		if diff := cmp.Diff([]string{"edit to one", "edit to two"}, c.taken()); diff != "" {
			t.Error(diff)
		}
	})
}

// Typing and reading are told to the network of the instance, and are no records.
func TestTypingAndReadingGoToTheNetwork(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		c := newChats(t, s)
		i := messaging.Instance{ID: c.message.InstanceID}
		all := func() error {
			return errors.Join(c.acts.Type(t.Context(), i, c.message.Peer, messaging.TypingRecording),
				c.acts.MarkRead(t.Context(), i, []messaging.Message{c.message}))
		}
		if err := all(); err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff([]string{"recording", "read"}, c.taken()); diff != "" {
			t.Error(diff)
		}
		c.connect(nil)
		if err := all(); !errors.Is(err, instances.ErrNotConnected) {
			t.Errorf("not connected: %v", err)
		}
		if told := c.told(); len(told) != 0 {
			t.Errorf("recorded are %v", told)
		}
	})
}
