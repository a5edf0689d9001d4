package wasim

import (
	"context"
	"fmt"

	waBinary "go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/proto/waE2E"
	"go.mau.fi/whatsmeow/types"
	"google.golang.org/protobuf/proto"
)

// groupRefusal is the code with which a message to a group is refused; zero is
// none.
func (c *conn) groupRefusal(m *clientMessage) int {
	switch {
	case m.to.Server != types.GroupServer:
		return 0
	case m.group == nil:
		return 404
	case !m.group.has(c.device.account.number):
		return 403
	default:
		return 0
	}
}

// unseal decrypts one text of a message: with the session of two devices, or
// with the key that the sender has told to the group.
func (a *account) unseal(m arrival, text sealed) ([]byte, error) {
	from := peer(m.from.account.number, m.from.id)
	if text.kind == "skmsg" && m.to.Server == types.GroupServer {
		return a.party.openGroup(m.to.String(), from, text.data)
	}
	return a.party.open(from, text)
}

// learnSenderKey takes in the sender key that comes with a message to a group.
func (a *account) learnSenderKey(m arrival, message *waE2E.Message) error {
	key := message.GetSenderKeyDistributionMessage()
	if key == nil || m.to.Server != types.GroupServer {
		return nil
	}
	from := peer(m.from.account.number, m.from.id)
	return a.party.learn(m.to.String(), from, key.GetAxolotlSenderKeyDistributionMessage())
}

// sendToGroup encrypts a message once for all clients of a group's members,
// and tells each of them the key.
func (a *account) sendToGroup(ctx context.Context, g *Group, message *waE2E.Message) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	if !g.has(a.number) {
		return "", ErrNotMember
	}
	devices := g.clients()
	if len(devices) == 0 {
		return "", ErrNotLinked
	}
	plain, err := proto.Marshal(message)
	if err != nil {
		return "", fmt.Errorf("write a message: %w", err)
	}
	sent := newSent(message, plain, g.ID())
	sent.group = g
	a.keepSent(sent)
	a.outgoing.Lock()
	defer a.outgoing.Unlock()
	distribution, text, err := a.party.sealGroup(g.ID(), plain)
	if err != nil {
		return "", err
	}
	key, err := distributionMessage(g, distribution)
	if err != nil {
		return "", err
	}
	for _, d := range devices {
		if err := a.sendGroupText(d, sent, key, text); err != nil {
			return "", err
		}
	}
	return sent.status.ID, nil
}

// sendGroupText gives one client the key, for its eyes only, and the text.
func (a *account) sendGroupText(d *device, m sentMessage, key []byte, text sealed) error {
	sealedKey, err := a.party.seal(peer(d.account.number, d.id), key, false, d.takeBundle)
	if err != nil {
		return err
	}
	d.deliver(waBinary.Node{Tag: "message", Attrs: a.stanzaAttrs(d, m), Content: []waBinary.Node{
		{Tag: "enc", Attrs: waBinary.Attrs{"v": "2", "type": sealedKey.kind}, Content: sealedKey.data},
		{Tag: "enc", Attrs: waBinary.Attrs{"v": "2", "type": text.kind, "mediatype": m.mediaType}, Content: text.data},
	}})
	return nil
}

// distributionMessage is the message that tells a sender key.
func distributionMessage(g *Group, distribution []byte) ([]byte, error) {
	key, err := proto.Marshal(&waE2E.Message{SenderKeyDistributionMessage: &waE2E.SenderKeyDistributionMessage{
		GroupID: proto.String(g.ID()), AxolotlSenderKeyDistributionMessage: distribution,
	}})
	if err != nil {
		return nil, fmt.Errorf("write a sender key: %w", err)
	}
	return key, nil
}

// withDistribution returns a message to a group for one client that could not
// open it: the key and the words in one. Written one after the other, two
// messages are one that has the fields of both.
func (a *account) withDistribution(m sentMessage) []byte {
	distribution, err := a.party.distributionFor(m.group.ID())
	if err != nil {
		return m.plain // it can still be read, without the key for the next ones
	}
	key, err := distributionMessage(m.group, distribution)
	if err != nil {
		return m.plain
	}
	return append(key, m.plain...)
}
