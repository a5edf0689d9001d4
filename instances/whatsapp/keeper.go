package whatsapp

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"go.mau.fi/whatsmeow/store"
	"go.mau.fi/whatsmeow/types"
)

// errUnreadable is why a message was kept back: whatsmeow found no session with
// the recipient, and would have sent it with nothing that the recipient can read.
var errUnreadable = errors.New("there is no session with the recipient")

// sweepInterval is how often old copies of sent messages are deleted.
const sweepInterval = 12 * time.Hour

// keeper stands between one whatsmeow client and the store of its session, and
// sees to three things that the client leaves open:
//
//   - A session is read, moved and written by senders and by receivers. Without
//     a lock one could write over what the other has moved, and a contact would
//     get a message under a key that was used already.
//   - whatsmeow skips a device that it cannot encrypt for, and sends the rest. A
//     message without a copy for its recipient must not leave.
//   - The copy of a message that is kept for those who cannot decrypt it, and the
//     session that encrypted it, go to the disk in one commit instead of two.
type keeper struct {
	store.SessionStore
	store.EventBuffer

	mu    sync.Mutex // held from a session's reading to its writing
	swept time.Time  // of senders, who take turns
}

// watch puts a keeper in front of a device's stores.
func watch(device *store.Device) *keeper {
	k := &keeper{SessionStore: device.Sessions, EventBuffer: device.EventBuffer}
	device.Sessions, device.EventBuffer = k, k
	return k
}

// carriage is one message on its way through whatsmeow. It travels in the
// context that SendMessage is given, and is used by one goroutine.
type carriage struct {
	keeper *keeper
	to     string // the recipient in addresses of sessions; empty: a group, which has many
	copied *copied
	locked bool
}

// copied is what is kept of a message for those who cannot decrypt it.
type copied struct {
	chat   types.JID
	id     types.MessageID
	format string
	text   []byte
}

type carriageKey struct{}

// carry returns the context of a message on its way to a recipient; the
// carriage is to be released when it is done.
func (k *keeper) carry(ctx context.Context, to types.JID) (context.Context, *carriage) {
	c := &carriage{keeper: k}
	if to.Server == types.HiddenUserServer || to.Server == types.DefaultUserServer {
		c.to = to.SignalAddressUser() + ":"
	}
	return context.WithValue(ctx, carriageKey{}, c), c
}

func carriageOf(ctx context.Context) *carriage {
	c, _ := ctx.Value(carriageKey{}).(*carriage)
	return c
}

func (c *carriage) hold() {
	if !c.locked {
		c.keeper.mu.Lock()
		c.locked = true
	}
}

func (c *carriage) release() {
	if c.locked {
		c.keeper.mu.Unlock()
		c.locked = false
	}
}

// GetManySessions implements store.SessionStore: here a message's encryption
// begins.
func (k *keeper) GetManySessions(ctx context.Context, addresses []string) (map[string][]byte, error) {
	if c := carriageOf(ctx); c != nil {
		c.hold()
	}
	return k.SessionStore.GetManySessions(ctx, addresses)
}

// PutManySessions implements store.SessionStore: here a message's encryption
// ends. Its error keeps the frame from leaving.
func (k *keeper) PutManySessions(ctx context.Context, sessions map[string][]byte) error {
	c := carriageOf(ctx)
	if c == nil {
		return k.SessionStore.PutManySessions(ctx, sessions)
	}
	defer c.release()
	if !c.readable(sessions) {
		return errUnreadable
	}
	return k.EventBuffer.DoDecryptionTxn(ctx, func(ctx context.Context) error {
		if m := c.copied; m != nil {
			if err := k.EventBuffer.AddOutgoingEvent(ctx, m.chat, m.id, m.format, m.text); err != nil {
				return err
			}
		}
		return k.SessionStore.PutManySessions(ctx, sessions)
	})
}

// readable reports whether one of the sessions that encrypted the message is
// the recipient's.
func (c *carriage) readable(sessions map[string][]byte) bool {
	if c.to == "" {
		return true
	}
	for address := range sessions {
		if strings.HasPrefix(address, c.to) {
			return true
		}
	}
	return false
}

// AddOutgoingEvent implements store.EventBuffer. The copy of a message on its
// way waits for the commit of its sessions.
func (k *keeper) AddOutgoingEvent(ctx context.Context, chat types.JID, id types.MessageID, format string, text []byte) error {
	if c := carriageOf(ctx); c != nil {
		c.copied = &copied{chat, id, format, text}
		return nil
	}
	return k.EventBuffer.AddOutgoingEvent(ctx, chat, id, format, text)
}

// DeleteOldOutgoingEvents implements store.EventBuffer. whatsmeow asks for it
// with every message, and means twice a day.
func (k *keeper) DeleteOldOutgoingEvents(ctx context.Context) error {
	if time.Since(k.swept) < sweepInterval {
		return nil
	}
	k.swept = time.Now()
	return k.EventBuffer.DeleteOldOutgoingEvents(ctx)
}

// DoDecryptionTxn implements store.EventBuffer: the decryption of an inbound
// message reads and writes its session within.
func (k *keeper) DoDecryptionTxn(ctx context.Context, f func(context.Context) error) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.EventBuffer.DoDecryptionTxn(ctx, f)
}
