package wasim

import (
	"slices"
	"strings"
	"sync"
	"time"

	"go.mau.fi/whatsmeow/types"
)

// maxFaults bounds the faults that wait at the same time.
const maxFaults = 1000

// faultBook holds the faults that were ordered and are not used up.
type faultBook struct {
	mu     sync.Mutex
	active []*activeFault
}

type activeFault struct {
	Fault
	when  Moment
	kind  faultKind
	until time.Time // zero: without end
}

// Inject orders a fault. It returns how many connections the fault has met at
// once, and ErrFault, ErrNumber or ErrClosed.
func (s *Server) Inject(f Fault) (met int, err error) {
	f.Number = strings.TrimPrefix(f.Number, "+")
	f.Contact = strings.TrimPrefix(f.Contact, "+")
	kind, err := f.kind()
	if err != nil {
		return 0, err
	}
	if kind.whole != nil {
		return kind.whole(s, f)
	}
	if kind.When != AtOnce {
		if err := s.book.add(f, kind); err != nil {
			return 0, err
		}
	}
	if kind.strike == nil {
		return 0, nil
	}
	struck := s.connections(f.Number)
	for _, c := range struck {
		kind.strike(c, f)
	}
	return len(struck), nil
}

// ClearFaults ends all faults that are not over. Connections that were made
// silent stay so.
func (s *Server) ClearFaults() error {
	s.book.clear()
	s.extraDelay.Store(0)
	return s.comeUp()
}

// Faults returns the faults that wait for their moment, in the order in which
// they strike. Count is how often they still will.
func (s *Server) Faults() []Fault { return s.book.list() }

// removeDevices unlinks the devices of an account, or of all.
func (s *Server) removeDevices(f Fault) (met int, err error) {
	for _, a := range s.accountsOf(f.Number) {
		for _, d := range a.companions() {
			a.unlink(d)
			if c := d.connection(); c != nil {
				c.finish(streamError("401", "device_removed"))
				met++
			}
		}
	}
	return met, nil
}

// connections returns the connections of an account's clients, or of all.
func (s *Server) connections(number string) []*conn {
	var list []*conn
	for _, a := range s.accountsOf(number) {
		for _, d := range a.companions() {
			if c := d.connection(); c != nil {
				list = append(list, c)
			}
		}
	}
	return list
}

// accountsOf returns the account of a number, if there is one, or all.
func (s *Server) accountsOf(number string) []*account {
	s.accountsMu.RLock()
	defer s.accountsMu.RUnlock()
	if number != "" {
		if a := s.accounts[number]; a != nil {
			return []*account{a}
		}
		return nil
	}
	list := make([]*account, 0, len(s.accounts))
	for _, a := range s.accounts {
		list = append(list, a)
	}
	return list
}

func (b *faultBook) add(f Fault, kind faultKind) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	entry := &activeFault{Fault: f, when: kind.When, kind: kind}
	if f.For > 0 {
		entry.until = time.Now().Add(f.For)
	}
	switch {
	case f.Count != 0:
	case f.For > 0 || kind.When == Standing:
		entry.Count = UntilCleared
	default:
		entry.Count = 1
	}
	b.forgetEnded()
	if len(b.active) >= maxFaults {
		return ErrFault.Saying("Too many faults wait already: clear them first.")
	}
	b.active = append(b.active, entry)
	return nil
}

// take returns the first fault that strikes an account at this moment, and
// uses it up by one; or nil.
func (b *faultBook) take(when Moment, number string, fits func(*activeFault) bool) *activeFault {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.active) == 0 {
		return nil
	}
	b.forgetEnded()
	for i, f := range b.active {
		if f.when != when || (f.Number != "" && f.Number != number) || (fits != nil && !fits(f)) {
			continue
		}
		struck := *f
		if f.Count > 0 {
			f.Count--
		}
		if f.Count == 0 {
			b.active = slices.Delete(b.active, i, i+1)
		}
		return &struck
	}
	return nil
}

func (b *faultBook) forgetEnded() {
	at := time.Now()
	b.active = slices.DeleteFunc(b.active, func(f *activeFault) bool { return !f.until.IsZero() && at.After(f.until) })
}

func (b *faultBook) clear() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.active = nil
}

func (b *faultBook) list() []Fault {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.forgetEnded()
	list := make([]Fault, len(b.active))
	for i, f := range b.active {
		list[i] = f.Fault
	}
	return list
}

// login returns what an account's login is refused with, or nil.
func (b *faultBook) login(number string) *LoginFault {
	if f := b.take(AtLogin, number, nil); f != nil {
		return f.kind.login(f.Fault)
	}
	return nil
}

// message returns what happens to an account's message. Clients of an account
// also write to each other and to its phone, of which users know nothing:
// those messages are left alone.
func (b *faultBook) message(number string, m *clientMessage) MessageFault {
	if category, _ := m.attrs["category"].(string); category == "peer" {
		return MessageFault{}
	}
	f := b.take(AtMessage, number, func(f *activeFault) bool { return f.Contact == "" || addressed(m.to, f.Contact) })
	if f == nil {
		return MessageFault{}
	}
	return f.kind.message(f.Fault)
}

// lookup returns the refusal of a question about numbers or devices, or nil.
func (b *faultBook) lookup(number string) error {
	f := b.take(AtLookup, number, nil)
	if f == nil {
		return nil
	}
	const tooMany = 429
	if f.Code == tooMany {
		return &iqError{tooMany, "rate-overlimit"}
	}
	return &iqError{f.Code, "refused"}
}

// media returns the status that a file is refused with, or zero.
func (b *faultBook) media() int {
	if f := b.take(AtMedia, "", nil); f != nil {
		return f.Code
	}
	return 0
}

// silences reports whether a connection of an account gets no word. The empty
// number is a client that has not said who it is.
func (b *faultBook) silences(number string) bool {
	return b.take(Standing, number, func(f *activeFault) bool { return f.Name == FaultHalfOpen }) != nil
}

// addressed reports whether an address is that of a contact, which is a number
// or the address of a group.
func addressed(to types.JID, contact string) bool {
	return numberOf(to) == contact || to.String() == contact
}
