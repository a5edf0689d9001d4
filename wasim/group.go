package wasim

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"go.mau.fi/whatsmeow/proto/waE2E"
	"go.mau.fi/whatsmeow/types"

	"portaria/internal/fault"
)

// What can be wrong about groups.
var (
	ErrNotMember  = fault.New(fault.Forbidden, "WASIM_NOT_MEMBER", "The account is not a member of this group.")
	errGroupsFull = fault.New(fault.Conflict, "WASIM_GROUPS_FULL", "There are too many groups.")
)

const (
	maxGroups  = 10_000
	maxMembers = 1024
)

// groupBook holds the groups of a server. The zero value is empty.
type groupBook struct {
	mu     sync.RWMutex
	groups map[string]*Group // by the user part of the address
	made   uint64
}

// find returns the group of an address, or nil.
func (b *groupBook) find(address types.JID) *Group {
	if address.Server != types.GroupServer {
		return nil
	}
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.groups[address.User]
}

// of returns the groups that an account is a member of, the oldest first.
func (b *groupBook) of(number string) []*Group {
	b.mu.RLock()
	all := make([]*Group, 0, len(b.groups))
	for _, g := range b.groups {
		all = append(all, g)
	}
	b.mu.RUnlock()
	all = slices.DeleteFunc(all, func(g *Group) bool { return !g.has(number) })
	slices.SortFunc(all, func(x, y *Group) int { return strings.Compare(x.id.User, y.id.User) })
	return all
}

// add makes a group known under a new address.
func (b *groupBook) add(g *Group) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.groups) >= maxGroups {
		return errGroupsFull
	}
	if b.groups == nil {
		b.groups = map[string]*Group{}
	}
	b.made++
	g.id = types.NewJID(fmt.Sprintf("120363%012d", b.made), types.GroupServer)
	b.groups[g.id.User] = g
	return nil
}

// Group is a group of accounts. Its methods may be called from any goroutine.
type Group struct {
	srv     *Server
	id      types.JID
	creator *account
	created time.Time

	// acting is held from a change until all have been told: clients must
	// learn of changes in the order in which they were made.
	acting sync.Mutex

	mu        sync.RWMutex // guards all below
	subject   string
	subjectBy *account
	subjectAt time.Time
	members   []*member // in the order in which they came
}

type member struct {
	account *account
	role    string // "", admin or superadmin, who made the group
}

// Member is one account in a group.
type Member struct {
	Number string
	Admin  bool
}

// NewGroup makes a group. The first member is the one who makes it; members
// with clients are told, as when a client makes a group. It panics when a
// member is no number or nobody is named, which is a mistake in a test.
func (s *Server) NewGroup(subject string, members ...string) *Group {
	accounts := make([]*account, len(members))
	for i, number := range members {
		accounts[i] = s.Contact(number).account
	}
	if len(accounts) == 0 {
		panic("wasim: a group of nobody")
	}
	g, err := s.newGroup(subject, accounts[0], accounts[1:])
	if err != nil {
		panic("wasim: " + err.Error())
	}
	return g
}

// Group returns the group with an address like 120363…@g.us.
func (s *Server) Group(id string) (*Group, bool) {
	address, err := types.ParseJID(id)
	if err != nil {
		return nil, false
	}
	g := s.groups.find(address)
	return g, g != nil
}

// newGroup makes a group and tells the clients of its members.
func (s *Server) newGroup(subject string, creator *account, others []*account) (*Group, error) {
	at := time.Now()
	g := &Group{
		srv: s, creator: creator, created: at,
		subject: subject, subjectBy: creator, subjectAt: at,
		members: []*member{{creator, "superadmin"}},
	}
	for _, a := range others {
		if len(g.members) < maxMembers && !g.has(a.number) {
			g.members = append(g.members, &member{account: a})
		}
	}
	g.acting.Lock()
	defer g.acting.Unlock()
	if err := s.groups.add(g); err != nil {
		return nil, err
	}
	g.tell(g.clients(), creator, g.creation())
	return g, nil
}

// ID returns the group's address.
func (g *Group) ID() string { return g.id.String() }

// Subject returns the group's name.
func (g *Group) Subject() string {
	g.mu.RLock()
	defer g.mu.RUnlock()
	return g.subject
}

// Members lists the members in the order in which they came.
func (g *Group) Members() []Member {
	g.mu.RLock()
	defer g.mu.RUnlock()
	list := make([]Member, len(g.members))
	for i, m := range g.members {
		list[i] = Member{Number: m.account.number, Admin: m.role != ""}
	}
	return list
}

// SendText sends a text of a member to the clients of all members and returns
// the message's id. Clients that are offline get it at their next login. It
// returns ErrNotMember, or ErrNotLinked when no member has a client.
func (g *Group) SendText(ctx context.Context, from *Contact, text string) (id string, err error) {
	return g.Send(ctx, from, &waE2E.Message{Conversation: &text})
}

// Send sends any message; see SendText.
func (g *Group) Send(ctx context.Context, from *Contact, message *waE2E.Message) (id string, err error) {
	return from.account.sendToGroup(ctx, g, message)
}

// Add makes accounts members, on the word of whoever made the group.
func (g *Group) Add(numbers ...string) { g.mustChange("add", numbers) }

// Remove puts members out of the group.
func (g *Group) Remove(numbers ...string) { g.mustChange("remove", numbers) }

func (g *Group) mustChange(action string, numbers []string) {
	accounts := make([]*account, len(numbers))
	for i, number := range numbers {
		accounts[i] = g.srv.Contact(number).account
	}
	g.change(g.creator, action, accounts)
}

// has reports whether an account is a member.
func (g *Group) has(number string) bool {
	_, ok := g.roleOf(number)
	return ok
}

// roleOf returns what an account may do in the group, and whether it is a
// member at all.
func (g *Group) roleOf(number string) (role string, ok bool) {
	g.mu.RLock()
	defer g.mu.RUnlock()
	if m := g.member(number); m != nil {
		return m.role, true
	}
	return "", false
}

// member is called with g.mu held.
func (g *Group) member(number string) *member {
	for _, m := range g.members {
		if m.account.number == number {
			return m
		}
	}
	return nil
}

// clients returns the linked devices of all members.
func (g *Group) clients() []*device {
	g.mu.RLock()
	members := slices.Clone(g.members)
	g.mu.RUnlock()
	var list []*device
	for _, m := range members {
		list = append(list, m.account.companions()...)
	}
	return list
}
