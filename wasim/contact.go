package wasim

import (
	"context"

	"go.mau.fi/whatsmeow/proto/waE2E"
)

// behaviour is how a contact behaves. The zero value exists, delivers and
// reads at once, and does not answer.
type behaviour struct {
	missing bool
	off     bool
	unread  bool
	plays   bool
	blocks  bool
	name    string
	answer  func(Received) string
	fixed   string // what answer says, when it is always the same
}

// Contact is a person on WhatsApp, seen from outside. Its settings return it,
// so that they can be chained, and hold from now on.
type Contact struct{ account *account }

// Contact returns the contact with a phone number: digits with the country
// code, with or without a plus sign. It panics when the text is no number,
// which is a mistake in a test.
func (s *Server) Contact(number string) *Contact {
	a := s.account(number)
	if a == nil {
		panic("wasim: not a phone number: " + number)
	}
	return &Contact{a}
}

// Number returns the contact's phone number, digits only.
func (c *Contact) Number() string { return c.account.number }

// Exists says whether the number is on WhatsApp.
func (c *Contact) Exists(yes bool) *Contact {
	return c.set(func(b *behaviour) { b.missing = !yes })
}

// Delivers says whether the contact's phone is on. What arrives while it is
// off is kept, and delivered when it is on again.
func (c *Contact) Delivers(yes bool) *Contact {
	c.set(func(b *behaviour) { b.off = !yes })
	if !yes {
		return c
	}
	c.account.mu.Lock()
	held := c.account.held
	c.account.held = nil
	c.account.mu.Unlock()
	for _, m := range held {
		if c.account.takesNow(&m) {
			c.account.receive(m)
		}
	}
	return c
}

// Reads says whether the contact reads what is delivered.
func (c *Contact) Reads(yes bool) *Contact {
	return c.set(func(b *behaviour) { b.unread = !yes })
}

// Plays says whether the contact listens to the voice messages that it reads.
// By default it does not.
func (c *Contact) Plays(yes bool) *Contact {
	return c.set(func(b *behaviour) { b.plays = yes })
}

// Blocked says whether the contact has blocked everybody: messages are taken
// by the server and never delivered.
func (c *Contact) Blocked(yes bool) *Contact {
	return c.set(func(b *behaviour) { b.blocks = yes })
}

// Named sets the name that the contact's messages carry.
func (c *Contact) Named(name string) *Contact {
	return c.set(func(b *behaviour) { b.name = name })
}

// AnswerWith sets what the contact answers to a message; an empty text is no
// answer, and nil ends the answering. The function runs on the goroutine of
// the sender's connection with no lock held.
func (c *Contact) AnswerWith(answer func(Received) string) *Contact {
	return c.set(func(b *behaviour) { b.answer, b.fixed = answer, "" })
}

// Answers sets what the contact answers to every message; see AnswerWith.
func (c *Contact) Answers(text string) *Contact {
	return c.set(func(b *behaviour) { b.answer, b.fixed = func(Received) string { return text }, text })
}

func (c *Contact) set(change func(*behaviour)) *Contact {
	defer c.account.srv.state.note()
	c.account.mu.Lock()
	defer c.account.mu.Unlock()
	change(&c.account.behaviour)
	return c
}

// SendText sends a text to an account and returns the message's id. Clients
// that are offline get it at their next login. It returns ErrNotLinked when
// the account has no client and ErrNumber when to is no number.
func (c *Contact) SendText(ctx context.Context, to, text string) (id string, err error) {
	return c.account.sendText(ctx, to, text)
}

// Send sends any message; see SendText.
func (c *Contact) Send(ctx context.Context, to string, message *waE2E.Message) (id string, err error) {
	return c.account.sendMessage(ctx, to, message)
}

// Received returns what the contact has decrypted, in order.
func (c *Contact) Received() []Received { return c.account.listReceived() }

// Sent returns what has become of a message that the contact sent. It reports
// false for an id it does not know, or no longer.
func (c *Contact) Sent(id string) (Sent, bool) {
	c.account.mu.Lock()
	defer c.account.mu.Unlock()
	m, ok := c.account.sent[id]
	if !ok {
		return Sent{}, false
	}
	return m.status, true
}
