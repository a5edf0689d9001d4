package wasim

import (
	"slices"
	"sync"
	"time"

	waBinary "go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/types"
)

// maxTyping bounds what is remembered of who was about to write.
const maxTyping = 4096

// Typing is something that a client has shown of what it is about to send.
type Typing struct {
	From  string    `json:"from"`  // number of the account
	To    string    `json:"to"`    // number of the contact, or address of the group
	State string    `json:"state"` // typing, recording or paused
	At    time.Time `json:"at"`
}

// typingLog is what was shown of late, the oldest first.
type typingLog struct {
	mu   sync.Mutex
	last []Typing
}

func (l *typingLog) add(t Typing) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.last = append(l.last, t); len(l.last) > maxTyping {
		l.last = slices.Delete(l.last, 0, len(l.last)-maxTyping)
	}
}

// Typing returns what clients have shown of what they are about to send, in
// order: the last few thousand.
func (s *Server) Typing() []Typing {
	s.typing.mu.Lock()
	defer s.typing.mu.Unlock()
	return slices.Clone(s.typing.last)
}

// Typing returns what the contact's phone has shown of those who are about to
// write to it alone, in order. A phone that is off shows nothing.
func (c *Contact) Typing() []Typing {
	return slices.DeleteFunc(c.account.srv.Typing(), func(t Typing) bool { return t.To != c.account.number })
}

// onChatState is a client that is about to send something, or not any more.
func (c *conn) onChatState(n *waBinary.Node) {
	to, state := jid(n, "to"), typingOf(n)
	shown := Typing{From: c.device.account.number, To: numberOf(to), State: state, At: time.Now()}
	switch group := c.srv.groups.find(to); {
	case state == "":
		return
	case group != nil && group.has(shown.From):
		shown.To = to.String()
	default:
		a := c.srv.recipient(to)
		if a == nil || a.behaves().off || a.behaves().blocks {
			return
		}
	}
	c.srv.typing.add(shown)
}

// typingOf reads what a stanza says; "" when that is nothing we know.
func typingOf(n *waBinary.Node) string {
	for _, inside := range children(n) {
		switch {
		case inside.Tag == string(types.ChatPresencePaused):
			return "paused"
		case inside.Tag == string(types.ChatPresenceComposing) && str(&inside, "media") == string(types.ChatPresenceMediaAudio):
			return "recording"
		case inside.Tag == string(types.ChatPresenceComposing):
			return "typing"
		}
	}
	return ""
}
