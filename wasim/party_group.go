package wasim

import (
	"context"
	"fmt"

	"go.mau.fi/libsignal/groups"
	"go.mau.fi/libsignal/protocol"
)

// ownSender is the name under which a party keeps its own sender keys.
func ownSender() *protocol.SignalAddress { return protocol.NewSignalAddress("own", 0) }

// learn takes in what a member of a group has told about its sender key.
func (p *party) learn(group string, from *protocol.SignalAddress, distribution []byte) (err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	defer recovered(&err) // as in open
	message, err := protocol.NewSenderKeyDistributionMessageFromBytes(distribution, p.serializer.SenderKeyDistributionMessage)
	if err != nil {
		return fmt.Errorf("read a sender key: %w", err)
	}
	builder := groups.NewGroupSessionBuilder(&p.store, p.serializer)
	if err := builder.Process(context.Background(), protocol.NewSenderKeyName(group, from), message); err != nil {
		return fmt.Errorf("keep a sender key: %w", err)
	}
	return nil
}

// openGroup decrypts and unpads one text that a member has sent to a group.
func (p *party) openGroup(group string, from *protocol.SignalAddress, data []byte) (plain []byte, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	defer recovered(&err) // as in open
	message, err := protocol.NewSenderKeyMessageFromBytes(data, p.serializer.SenderKeyMessage)
	if err != nil {
		return nil, fmt.Errorf("read a group message: %w", err)
	}
	plain, err = p.groupCipher(group, from).Decrypt(context.Background(), message)
	if err != nil {
		return nil, fmt.Errorf("decrypt a group message: %w", err)
	}
	return unpad(plain)
}

// sealGroup pads and encrypts a text for a group. The distribution is what
// members need to know, before they open the text or any later one.
func (p *party) sealGroup(group string, plain []byte) (distribution []byte, text sealed, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	distribution, err = p.distribution(group)
	if err != nil {
		return nil, sealed{}, err
	}
	message, err := p.groupCipher(group, ownSender()).Encrypt(context.Background(), pad(plain))
	if err != nil {
		return nil, sealed{}, fmt.Errorf("encrypt for a group: %w", err)
	}
	return distribution, sealed{kind: "skmsg", data: message.SignedSerialize()}, nil
}

// distributionFor is what a member needs to know who missed a distribution.
func (p *party) distributionFor(group string) ([]byte, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.distribution(group)
}

// distribution is called with p.mu held.
func (p *party) distribution(group string) ([]byte, error) {
	builder := groups.NewGroupSessionBuilder(&p.store, p.serializer)
	message, err := builder.Create(context.Background(), protocol.NewSenderKeyName(group, ownSender()))
	if err != nil {
		return nil, fmt.Errorf("make a sender key: %w", err)
	}
	return message.Serialize(), nil
}

func (p *party) groupCipher(group string, sender *protocol.SignalAddress) *groups.GroupCipher {
	builder := groups.NewGroupSessionBuilder(&p.store, p.serializer)
	return groups.NewGroupCipher(builder, protocol.NewSenderKeyName(group, sender), &p.store)
}

// recovered turns a panic of the Signal library into an error.
func recovered(err *error) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("decrypt: %v", r)
	}
}
