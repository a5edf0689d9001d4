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
// sees to what the client leaves open:
//
//   - A session is read, moved and written by senders and by receivers. Without
//     a lock one could write over what the other has moved, and a contact would
//     get a message under a key that was used already.
//   - whatsmeow skips a device that it cannot encrypt for, and sends the rest. A
//     message without a copy for its recipient must not leave.
//   - A message would cost seven questions to the database and three commits.
//     What was read once is remembered, and what it leaves, the moved sessions
//     and the copy for those who cannot decrypt it, is one entry of a commit
//     that it shares with other instances (scribe).
type keeper struct {
	store.SessionStore
	store.EventBuffer

	scribe     *scribe
	sessions   known[[]byte]
	identities identities
	tokens     tokens
	salt       salt

	mu    sync.Mutex // held from a session's reading to its writing
	swept time.Time  // of senders, who take turns
}

// watch puts a keeper in front of a device's stores.
func watch(device *store.Device, s *scribe) *keeper {
	k := &keeper{
		SessionStore: device.Sessions, EventBuffer: device.EventBuffer, scribe: s,
		identities: identities{IdentityStore: device.Identities},
		tokens:     tokens{PrivacyTokenStore: device.PrivacyTokens},
		salt:       salt{NCTSaltStore: device.NCTSalt},
	}
	device.PreKeys = &prekeys{PreKeyStore: device.PreKeys, together: device.EventBuffer.DoDecryptionTxn}
	device.Sessions, device.EventBuffer = k, k
	device.Identities, device.PrivacyTokens, device.NCTSalt = &k.identities, &k.tokens, &k.salt
	return k
}

// refresh forgets what was remembered: before a new connection, for while there
// was none, another process may have had one.
func (k *keeper) refresh() {
	_ = k.sessions.changeAll(nothing)
	_ = k.identities.saved.changeAll(nothing)
	_ = k.tokens.read.changeAll(nothing)
	_ = k.salt.read.changeAll(nothing)
}

func nothing() error { return nil }

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
	found := make(map[string][]byte, len(addresses))
	var unknown []string
	for _, address := range addresses {
		if session, ok := k.sessions.get(address); ok {
			found[address] = session
		} else {
			unknown = append(unknown, address)
		}
	}
	if len(unknown) == 0 {
		return found, nil
	}
	since := k.sessions.now()
	read, err := k.SessionStore.GetManySessions(ctx, unknown)
	if err != nil {
		return nil, err
	}
	for address, session := range read {
		found[address] = session
		if session != nil {
			k.sessions.put(since, address, session)
		}
	}
	return found, nil
}

// PutManySessions implements store.SessionStore: here a message's encryption
// ends. Its error keeps the frame from leaving.
func (k *keeper) PutManySessions(ctx context.Context, sessions map[string][]byte) error {
	c := carriageOf(ctx)
	if c == nil {
		return k.move(sessions, func() error { return k.SessionStore.PutManySessions(ctx, sessions) })
	}
	defer c.release()
	if !c.readable(sessions) {
		return errUnreadable
	}
	return k.move(sessions, func() error {
		return k.scribe.write(ctx, func(ctx context.Context) error {
			if m := c.copied; m != nil {
				if err := k.EventBuffer.AddOutgoingEvent(ctx, m.chat, m.id, m.format, m.text); err != nil {
					return err
				}
			}
			return k.SessionStore.PutManySessions(ctx, sessions)
		})
	})
}

// move writes sessions, and remembers them when they are on the disk.
func (k *keeper) move(sessions map[string][]byte, write func() error) error {
	k.sessions.begin()
	for address := range sessions {
		k.sessions.drop(address)
	}
	err := write()
	since := k.sessions.end()
	if err != nil {
		return err
	}
	for address, session := range sessions {
		k.sessions.put(since, address, session)
	}
	return nil
}

// GetSession implements store.SessionStore.
func (k *keeper) GetSession(ctx context.Context, address string) ([]byte, error) {
	if session, ok := k.sessions.get(address); ok {
		return session, nil
	}
	return k.SessionStore.GetSession(ctx, address)
}

// HasSession implements store.SessionStore.
func (k *keeper) HasSession(ctx context.Context, address string) (bool, error) {
	if _, ok := k.sessions.get(address); ok {
		return true, nil
	}
	return k.SessionStore.HasSession(ctx, address)
}

// PutSession implements store.SessionStore.
func (k *keeper) PutSession(ctx context.Context, address string, session []byte) error {
	_, err := k.sessions.change(address, func() error { return k.SessionStore.PutSession(ctx, address, session) })
	return err
}

// DeleteSession implements store.SessionStore.
func (k *keeper) DeleteSession(ctx context.Context, address string) error {
	_, err := k.sessions.change(address, func() error { return k.SessionStore.DeleteSession(ctx, address) })
	return err
}

// DeleteAllSessions implements store.SessionStore.
func (k *keeper) DeleteAllSessions(ctx context.Context, phone string) error {
	return k.sessions.changeAll(func() error { return k.SessionStore.DeleteAllSessions(ctx, phone) })
}

// MigratePNToLID implements store.SessionStore. Identities move along.
func (k *keeper) MigratePNToLID(ctx context.Context, pn, lid types.JID) error {
	return k.sessions.changeAll(func() error {
		return k.identities.saved.changeAll(func() error { return k.SessionStore.MigratePNToLID(ctx, pn, lid) })
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
// message reads and writes its session within. Nothing of it is remembered, for
// it may be rolled back.
func (k *keeper) DoDecryptionTxn(ctx context.Context, f func(context.Context) error) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.sessions.begin()
	defer k.sessions.end()
	k.identities.saved.begin()
	defer k.identities.saved.end()
	k.tokens.read.begin()
	defer k.tokens.read.end()
	k.salt.read.begin()
	defer k.salt.read.end()
	return k.EventBuffer.DoDecryptionTxn(ctx, f)
}
