package wasim_test

import (
	"testing"

	"go.mau.fi/whatsmeow/proto/waE2E"
	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/types/events"

	"portaria/wasim"
)

// TestContactReactsRepliesEditsAndRevokes: clients see each as they see it
// from a phone, about the right message.
func TestContactReactsRepliesEditsAndRevokes(t *testing.T) {
	s := start(t, wasim.Options{})
	c := paired(t, s, own)
	contact := s.Contact(friend)
	asked := c.mustText(friend, "how are you?")
	wantTexts(t, contact.Received, "how are you?")
	next := func(id string, err error) *events.Message {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return await(c, func(m *events.Message) bool { return m.Info.ID == id })
	}

	reaction := next(contact.SendReaction(t.Context(), own, asked, "👍"))
	if r := reaction.Message.GetReactionMessage(); r.GetText() != "👍" || r.GetKey().GetID() != asked || r.GetKey().GetFromMe() ||
		reaction.Info.Type != "reaction" {
		t.Errorf("the reaction is %v, a %s", r, reaction.Info.Type)
	}
	taken := next(contact.SendReaction(t.Context(), own, asked, ""))
	if r := taken.Message.GetReactionMessage(); r == nil || r.GetText() != "" || taken.Info.Edit != types.EditAttributeSenderRevoke {
		t.Errorf("the reaction that was taken back is %v, edit %q", r, taken.Info.Edit)
	}

	reply := next(contact.SendReply(t.Context(), own, asked, "fine"))
	quote := reply.Message.GetExtendedTextMessage().GetContextInfo()
	if quote.GetStanzaID() != asked || quote.GetQuotedMessage().GetConversation() != "how are you?" ||
		quote.GetParticipant() != c.Store.GetLID().ToNonAD().String() {
		t.Errorf("the reply quotes %v", quote)
	}

	edit := next(contact.Edit(t.Context(), own, reply.Info.ID, "very fine"))
	change := edit.Message.GetProtocolMessage()
	if !edit.IsEdit || edit.Info.Edit != types.EditAttributeMessageEdit || change.GetKey().GetID() != reply.Info.ID ||
		!change.GetKey().GetFromMe() || change.GetEditedMessage().GetConversation() != "very fine" {
		t.Errorf("the edit is %v, edit %q", edit.Message, edit.Info.Edit)
	}

	revoke := next(contact.Revoke(t.Context(), own, reply.Info.ID))
	if p := revoke.Message.GetProtocolMessage(); p.GetType() != waE2E.ProtocolMessage_REVOKE || p.GetKey().GetID() != reply.Info.ID ||
		revoke.Info.Edit != types.EditAttributeSenderRevoke {
		t.Errorf("the revoke is %v, edit %q", p, revoke.Info.Edit)
	}
}
