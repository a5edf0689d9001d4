package wasim

import (
	"strconv"
	"strings"
	"sync"

	"go.mau.fi/whatsmeow/types"

	"portaria/internal/fault"
)

// ErrNumber says that a text is no phone number.
var ErrNumber = fault.New(fault.Invalid, "WASIM_NUMBER_INVALID", "A phone number is 5 to 15 digits with its country code.")

const (
	// lidDistance is what is added to a phone number to make the account's LID.
	// A mapping that can be reversed needs no table.
	lidDistance = 100_000_000_000_000
	// maxAccounts bounds the accounts that strangers can call into being by
	// asking for keys.
	maxAccounts = 1 << 18
	// maxDevice is the highest device number: it travels as one byte.
	maxDevice = 255
)

// account is a WhatsApp account: the phone that is simulated here (device 0)
// and the companions linked to it. The same account may be a client's own and
// another client's contact.
type account struct {
	srv    *Server
	number string
	pn     types.JID
	lid    types.JID
	party  *party

	// inbox is held from the look whether a message is new until it is
	// recorded: a frame sent again after a reconnect must not be opened twice.
	inbox sync.Mutex
	// outgoing keeps the order in which messages are encrypted and sent.
	outgoing sync.Mutex

	mu         sync.Mutex // guards all below
	behaviour  behaviour
	devices    map[uint16]*device
	lastDevice uint16
	received   []Received
	known      map[messageKey]int // where in received; -1 for the phone's own copies
	retries    map[messageKey]int
	held       []arrival // while the contact's phone is off
	sent       map[string]*sentMessage
	sentOrder  []string
	pushName   []byte // the patch that tells companions their name; nil tells none
}

// account returns the account of a number, made when first asked for, or nil
// when the number is none or there are too many.
func (s *Server) account(number string) *account {
	number = strings.TrimPrefix(number, "+")
	s.accountsMu.RLock()
	a := s.accounts[number]
	s.accountsMu.RUnlock()
	if a != nil || !isNumber(number) {
		return a
	}
	fresh := newAccount(s, number)
	s.accountsMu.Lock()
	defer s.accountsMu.Unlock()
	if a := s.accounts[number]; a != nil {
		return a
	}
	if len(s.accounts) >= maxAccounts {
		return nil
	}
	s.accounts[number] = fresh
	return fresh
}

// known returns the account of an address when there is one already.
func (s *Server) knownAccount(number string) *account {
	s.accountsMu.RLock()
	defer s.accountsMu.RUnlock()
	return s.accounts[number]
}

// exists reports whether a number is on WhatsApp: every number is but those
// that a test has said are not.
func (s *Server) exists(number string) bool {
	if !isNumber(number) {
		return false
	}
	a := s.knownAccount(number)
	return a == nil || !a.behaves().missing
}

func newAccount(s *Server, number string) *account {
	return &account{
		srv:     s,
		number:  number,
		pn:      types.NewJID(number, types.DefaultUserServer),
		lid:     types.NewJID(lidOf(number), types.HiddenUserServer),
		party:   newParty(number),
		devices: map[uint16]*device{},
		known:   map[messageKey]int{},
		retries: map[messageKey]int{},
		sent:    map[string]*sentMessage{},
	}
}

func isNumber(s string) bool {
	if len(s) < 5 || len(s) > 15 || s[0] == '0' {
		return false
	}
	return strings.Trim(s, "0123456789") == ""
}

// lidOf returns the user part of a number's LID.
func lidOf(number string) string {
	n, err := strconv.ParseUint(number, 10, 64)
	if err != nil {
		return ""
	}
	return strconv.FormatUint(n+lidDistance, 10)
}

// numberOf returns the number that an address of either kind belongs to, or "".
func numberOf(j types.JID) string {
	switch j.Server {
	case types.DefaultUserServer, types.LegacyUserServer:
		if isNumber(j.User) {
			return j.User
		}
	case types.HiddenUserServer:
		n, err := strconv.ParseUint(j.User, 10, 64)
		if err != nil || n <= lidDistance {
			return ""
		}
		if number := strconv.FormatUint(n-lidDistance, 10); isNumber(number) {
			return number
		}
	}
	return ""
}

// address returns the account's address of the kind that server says.
func (a *account) address(server string) types.JID {
	if server == types.DefaultUserServer {
		return a.pn
	}
	return a.lid
}

// companions returns the linked devices.
func (a *account) companions() []*device {
	a.mu.Lock()
	defer a.mu.Unlock()
	list := make([]*device, 0, len(a.devices))
	for id := uint16(1); id <= a.lastDevice; id++ {
		if d := a.devices[id]; d != nil {
			list = append(list, d)
		}
	}
	return list
}

func (a *account) companion(id uint16) *device {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.devices[id]
}

// unlink removes a companion. Its next login is refused with 401.
func (a *account) unlink(d *device) {
	defer a.srv.state.note()
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.devices[d.id] == d {
		delete(a.devices, d.id)
	}
}

func (a *account) behaves() behaviour {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.behaviour
}
