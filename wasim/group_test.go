package wasim_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/proto/waE2E"
	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/types/events"
	"google.golang.org/protobuf/proto"

	"portaria/wasim"
)

const (
	second = "5511977770001"
	third  = "5511977770002"
)

// mustGroupText sends a text to a group and returns its id.
func (c *client) mustGroupText(g *wasim.Group, text string) string {
	c.t.Helper()
	to, err := types.ParseJID(g.ID())
	if err != nil {
		c.t.Fatal(err)
	}
	response, err := c.SendMessage(context.Background(), to, &waE2E.Message{Conversation: proto.String(text)})
	if err != nil {
		c.t.Fatal(err)
	}
	return response.ID
}

// awaitText returns the next message that says something: whatsmeow tells of
// sender keys as well.
func awaitText(c *client) *events.Message {
	c.t.Helper()
	return await(c, func(m *events.Message) bool { return m.Message.GetConversation() != "" })
}

// pn is the address of a number.
func pn(number string) types.JID { return types.NewJID(number, types.DefaultUserServer) }

// TestGroupTalksBothWays with sender keys: every member reads what a client
// sends, tells so for itself, and the client reads what members send.
func TestGroupTalksBothWays(t *testing.T) {
	s := start(t, wasim.Options{})
	c := paired(t, s, own)
	made, err := c.CreateGroup(t.Context(), whatsmeow.ReqCreateGroup{Name: "Friends", Participants: []types.JID{pn(friend), pn(second)}})
	if err != nil {
		t.Fatal(err)
	}
	if made.Name != "Friends" || len(made.Participants) != 3 || made.OwnerPN.User != own {
		t.Errorf("the group is %+v", made)
	}
	if joined := await[*events.JoinedGroup](c); joined.JID != made.JID {
		t.Errorf("joined %s, want %s", joined.JID, made.JID)
	}
	g, ok := s.Group(made.JID.String())
	if !ok {
		t.Fatal("the server does not know the group")
	}
	for i := range 3 {
		text := fmt.Sprintf("hello %d", i)
		id := c.mustGroupText(g, text)
		for _, number := range []string{friend, second} {
			read := await(c, receiptFor(id, types.ReceiptTypeRead), func(r *events.Receipt) bool { return r.SenderAlt.User == number })
			if read.Chat != made.JID || !read.IsGroup {
				t.Errorf("read in %s, want %s", read.Chat, made.JID)
			}
		}
	}
	for _, number := range []string{friend, second} {
		for _, r := range wantTexts(t, s.Contact(number).Received, "hello 0", "hello 1", "hello 2") {
			if r.Group != g.ID() || r.From != own || r.Retries != 0 {
				t.Errorf("%q came from %s in %q after %d retries", r.Text(), r.From, r.Group, r.Retries)
			}
		}
	}
	for i := range 3 {
		want := fmt.Sprintf("answer %d", i)
		id, err := g.SendText(t.Context(), s.Contact(friend), want)
		if err != nil {
			t.Fatal(err)
		}
		got := awaitText(c)
		if got.Message.GetConversation() != want || got.Info.Chat != made.JID || got.Info.SenderAlt.User != friend {
			t.Errorf("%q from %s in %s", got.Message.GetConversation(), got.Info.SenderAlt, got.Info.Chat)
		}
		eventually(t, "the contact knows that it was delivered", func() bool {
			sent, ok := s.Contact(friend).Sent(id)
			return ok && sent.Delivered
		})
	}
	eventually(t, "the queue is empty", func() bool { return s.Phone(own).Pending(1) == 0 })
}

// TestContactAnswersInTheGroup when it was asked there.
func TestContactAnswersInTheGroup(t *testing.T) {
	s := start(t, wasim.Options{})
	c := paired(t, s, own)
	g := s.NewGroup("Friends", friend, own)
	await[*events.JoinedGroup](c)
	s.Contact(friend).AnswerWith(func(r wasim.Received) string { return "re: " + r.Text() })
	c.mustGroupText(g, "hello")
	if got := awaitText(c); got.Message.GetConversation() != "re: hello" || got.Info.Chat.String() != g.ID() {
		t.Errorf("%q in %s", got.Message.GetConversation(), got.Info.Chat)
	}
}

// TestTwoClientsTalkInAGroup: what one client sends another decrypts, and a
// member's phone does too.
func TestTwoClientsTalkInAGroup(t *testing.T) {
	s := start(t, wasim.Options{})
	one, two := paired(t, s, own), paired(t, s, second)
	g := s.NewGroup("Friends", own, second, friend)
	one.mustGroupText(g, "from one")
	if got := awaitText(two); got.Message.GetConversation() != "from one" || got.Info.SenderAlt.User != own || !got.Info.IsGroup {
		t.Errorf("%q from %s", got.Message.GetConversation(), got.Info.SenderAlt)
	}
	two.mustGroupText(g, "from two")
	if got := awaitText(one); got.Message.GetConversation() != "from two" || got.Info.SenderAlt.User != second {
		t.Errorf("%q from %s", got.Message.GetConversation(), got.Info.SenderAlt)
	}
	wantTexts(t, s.Contact(friend).Received, "from one", "from two")
}

// TestMembersChange: the answer, the news to all clients, and who gets what is
// sent afterwards.
func TestMembersChange(t *testing.T) {
	s := start(t, wasim.Options{})
	c := paired(t, s, own)
	const nobody = "5511900000099"
	s.Contact(nobody).Exists(false)
	g := s.NewGroup("Friends", own, friend)
	address := await[*events.JoinedGroup](c).JID
	update := func(action whatsmeow.ParticipantChange, numbers ...string) map[string]int {
		t.Helper()
		var jids []types.JID
		for _, number := range numbers {
			jids = append(jids, pn(number))
		}
		changed, err := c.UpdateGroupParticipants(t.Context(), address, jids, action)
		if err != nil {
			t.Fatal(err)
		}
		codes := map[string]int{}
		for _, p := range changed {
			codes[p.PhoneNumber.User] = p.Error
		}
		return codes
	}
	want := func(members ...wasim.Member) {
		t.Helper()
		if diff := cmp.Diff(members, g.Members()); diff != "" {
			t.Errorf("members (-want +got):\n%s", diff)
		}
	}
	if diff := cmp.Diff(map[string]int{second: 0, friend: 409, nobody: 404}, update("add", second, friend, nobody)); diff != "" {
		t.Errorf("added (-want +got):\n%s", diff)
	}
	if news := await[*events.GroupInfo](c); len(news.Join) != 1 || news.SenderPN.User != own {
		t.Errorf("news of the addition: %+v", news)
	}
	update("promote", second)
	want(wasim.Member{Number: own, Admin: true}, wasim.Member{Number: friend}, wasim.Member{Number: second, Admin: true})
	if news := await[*events.GroupInfo](c); len(news.Promote) != 1 {
		t.Errorf("news of the promotion: %+v", news)
	}
	update("demote", second)
	await[*events.GroupInfo](c)
	update("remove", friend)
	if news := await[*events.GroupInfo](c); len(news.Leave) != 1 {
		t.Errorf("news of the removal: %+v", news)
	}
	want(wasim.Member{Number: own, Admin: true}, wasim.Member{Number: second})
	c.mustGroupText(g, "without the friend")
	wantTexts(t, s.Contact(second).Received, "without the friend")
	if got := s.Contact(friend).Received(); len(got) != 0 {
		t.Errorf("who was removed got %v", got)
	}
	if _, err := g.SendText(t.Context(), s.Contact(friend), "let me in"); !errors.Is(err, wasim.ErrNotMember) {
		t.Errorf("who was removed sends: %v", err)
	}
}

// TestGroupIsForItsMembers: others neither see it nor write to it, and only
// admins change who is in it.
func TestGroupIsForItsMembers(t *testing.T) {
	s := start(t, wasim.Options{})
	c := paired(t, s, own)
	foreign := s.NewGroup("Strangers", friend, second)
	address, err := types.ParseJID(foreign.ID())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.GetGroupInfo(t.Context(), address); !errors.Is(err, whatsmeow.ErrNotInGroup) {
		t.Errorf("info of a foreign group: %v", err)
	}
	if _, err := c.GetGroupInfo(t.Context(), types.NewJID("120363999999999999", types.GroupServer)); !errors.Is(err, whatsmeow.ErrGroupNotFound) {
		t.Errorf("info of no group: %v", err)
	}
	foreign.Add(own)
	joined := await[*events.GroupInfo](c)
	if _, err := c.UpdateGroupParticipants(t.Context(), joined.JID, []types.JID{pn(friend)}, "remove"); !errors.Is(err, whatsmeow.ErrIQForbidden) {
		t.Errorf("removal by a member: %v", err)
	}
	if err := c.SetGroupName(t.Context(), joined.JID, "Friends"); err != nil {
		t.Fatal(err)
	}
	if news := await[*events.GroupInfo](c); news.Name == nil || news.Name.Name != "Friends" || foreign.Subject() != "Friends" {
		t.Errorf("news of the name: %+v", news)
	}
	s.NewGroup("Another", third, own)
	all, err := c.GetJoinedGroups(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, g := range all {
		names = append(names, g.Name)
	}
	if diff := cmp.Diff([]string{"Friends", "Another"}, names); diff != "" {
		t.Errorf("groups (-want +got):\n%s", diff)
	}
	// It is in the client's cache by now, so that a message leaves after it has left.
	c.mustGroupText(foreign, "still in")
	foreign.Remove(own)
	if _, err := c.SendMessage(t.Context(), joined.JID, &waE2E.Message{Conversation: proto.String("out")}); !errors.Is(err, whatsmeow.ErrServerReturnedError) {
		t.Errorf("a message after the removal: %v", err)
	}
	if err := c.LeaveGroup(t.Context(), all[1].JID); err != nil {
		t.Error(err)
	}
	if all, err := c.GetJoinedGroups(t.Context()); err != nil || len(all) != 0 {
		t.Errorf("%d groups are left, %v", len(all), err)
	}
}

// TestMemberThatCannotDecryptAsksAgain, in either direction, and can read all
// that comes later.
func TestMemberThatCannotDecryptAsksAgain(t *testing.T) {
	s := start(t, wasim.Options{})
	device := newDevice()
	c := newClient(t, s, device)
	c.pair(s.Phone(own))
	contact := s.Contact(friend)
	g := s.NewGroup("Friends", own, friend)
	await[*events.JoinedGroup](c)
	say := func(words string) {
		t.Helper()
		if _, err := g.SendText(t.Context(), contact, words); err != nil {
			t.Fatal(err)
		}
		if got := awaitText(c).Message.GetConversation(); got != words {
			t.Fatalf("the client got %q, want %q", got, words)
		}
	}
	c.mustGroupText(g, "one")
	say("first")
	id := c.mustGroupText(g, "so that the session is acknowledged")
	await(c, receiptFor(id, types.ReceiptTypeRead)) // it has been opened
	contact.ForgetSessions()
	id = c.mustGroupText(g, "two")
	await(c, receiptFor(id, types.ReceiptTypeRead))
	c.mustGroupText(g, "three")
	got := wantTexts(t, contact.Received, "one", "so that the session is acknowledged", "two", "three")
	if got[2].Retries != 1 {
		t.Errorf("%d retries, want 1", got[2].Retries)
	}
	say("second")
	device.Sessions.(*memStore).forgetSessions()
	say("third")
	say("fourth")
}

// TestOfflineMemberGetsTheGroupsMessages at its next login, in order.
func TestOfflineMemberGetsTheGroupsMessages(t *testing.T) {
	s := start(t, wasim.Options{})
	c := paired(t, s, own)
	g := s.NewGroup("Friends", own, friend)
	await[*events.JoinedGroup](c)
	c.Disconnect()
	eventually(t, "the server sees the client leave", func() bool { return !s.Phone(own).Connected() })
	for i := range 5 {
		if _, err := g.SendText(t.Context(), s.Contact(friend), fmt.Sprint(i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Connect(); err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		if got := awaitText(c).Message.GetConversation(); got != fmt.Sprint(i) {
			t.Errorf("message %d is %q", i, got)
		}
	}
}
