package wasim

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"sync"

	waBinary "go.mau.fi/whatsmeow/binary"

	"portaria/internal/fault"
)

// What linking by a typed code can end with, beside what ScanQR can.
var (
	ErrCode        = fault.New(fault.Invalid, "WASIM_CODE_INVALID", "This text is not a code to link with: those have eight letters and digits.")
	ErrCodeUnknown = fault.New(fault.NotFound, "WASIM_CODE_UNKNOWN", "No client asks to be linked to this number by a code now.")
	ErrCodeWrong   = fault.New(fault.Conflict, "WASIM_CODE_WRONG", "This is not the code that the client shows.")
)

const (
	codeAlphabet   = "123456789ABCDEFGHJKLMNPQRSTVWXYZ"
	codeLength     = 8
	codeRounds     = 2 << 16
	wrappedKeySize = 32 + aes.BlockSize + 32 // salt, iv, key
	bundleSize     = 32 + 32 + 32            // companion's identity, phone's identity, randomness
)

// codeLink is a client's wish to be linked to a number by a code, which the
// client shows and the server never learns.
type codeLink struct {
	number  string
	ref     []byte
	wrapped []byte          // the client's ephemeral key, under the code
	order   uint64          // the wishes of several clients for one number are told apart by age
	typing  sync.Mutex      // held while a phone types
	finish  chan codeFinish // what the client answered to the phone's key
}

// codeFinish is the client's half of the secret, sealed for the phone.
type codeFinish struct {
	bundle   []byte
	identity []byte
}

// codeIQs are the requests with which a client that is not linked asks to be
// linked by a code.
func codeIQs() map[iqKey]iqHandler {
	return map[iqKey]iqHandler{{"md", "set", "link_code_companion_reg"}: linkByCode}
}

func linkByCode(c *conn, iq *waBinary.Node) ([]waBinary.Node, error) {
	asked := child(iq, "link_code_companion_reg")
	switch str(asked, "stage") {
	case "companion_hello":
		return c.beginCode(asked)
	case "companion_finish":
		return nil, c.finishCode(asked)
	default:
		return nil, errBadRequest()
	}
}

// beginCode notes what the client will show on its screen. A second wish takes
// the place of the first: the client shows one code.
func (c *conn) beginCode(asked *waBinary.Node) ([]waBinary.Node, error) {
	wish := &codeLink{
		number:  numberOf(jid(asked, "jid")),
		ref:     []byte("2@" + base64.RawURLEncoding.EncodeToString(randomBytes(24))),
		wrapped: body(child(asked, "link_code_pairing_wrapped_companion_ephemeral_pub")),
		order:   c.srv.ids.Add(1),
		finish:  make(chan codeFinish, 1),
	}
	key := body(child(asked, "companion_server_auth_key_pub"))
	if wish.number == "" || len(wish.wrapped) != wrappedKeySize || !bytes.Equal(key, c.keys.static[:]) {
		return nil, errBadRequest()
	}
	c.srv.linkingMu.Lock()
	c.linking.code = wish
	c.srv.linkingMu.Unlock()
	return []waBinary.Node{{
		Tag:     "link_code_companion_reg",
		Content: []waBinary.Node{{Tag: "link_code_pairing_ref", Content: wish.ref}},
	}}, nil
}

// finishCode hands the client's answer to the phone that has typed a code.
func (c *conn) finishCode(asked *waBinary.Node) error {
	c.srv.linkingMu.Lock()
	wish := c.linking.code
	c.srv.linkingMu.Unlock()
	if wish == nil || !bytes.Equal(body(child(asked, "link_code_pairing_ref")), wish.ref) {
		return errNotFound()
	}
	answer := codeFinish{
		bundle:   body(child(asked, "link_code_pairing_wrapped_key_bundle")),
		identity: body(child(asked, "companion_identity_public")),
	}
	select {
	case wish.finish <- answer:
		return nil
	default:
		return errBadRequest() // nobody has typed anything since the last answer
	}
}

// TypeCode links the client that shows this code and has asked to be linked to
// this number; when several have, the last one. The dash and the case do not
// matter. It returns when the client is linked and told to log in. It returns
// ErrCode, ErrCodeUnknown, ErrCodeWrong, ErrLinkRefused, ErrLinkLost,
// ErrDevices or ctx's error. A wrong code can be typed anew.
func (p *Phone) TypeCode(ctx context.Context, code string) error {
	code, err := parseCode(code)
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return err
	}
	c, wish := p.account.srv.wishing(p.account.number)
	if wish == nil || !wish.typing.TryLock() {
		return ErrCodeUnknown
	}
	defer wish.typing.Unlock()
	theirs, err := wish.open(code)
	if err != nil {
		return err
	}
	ephemeral, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return fmt.Errorf("draw a key: %w", err)
	}
	wrapped, err := wrapKey(code, ephemeral.PublicKey().Bytes())
	if err != nil {
		return err
	}
	answer, err := c.showKey(ctx, wish, p.account, wrapped)
	if err != nil {
		return err
	}
	secret, err := p.account.sharedSecret(ephemeral, theirs, c.linking.keys.identity, answer)
	if err != nil {
		return err
	}
	return p.account.link(ctx, c, secret)
}

// parseCode reads a code as people type it.
func parseCode(text string) (string, error) {
	code := strings.ToUpper(strings.NewReplacer("-", "", " ", "").Replace(text))
	if len(code) != codeLength || strings.Trim(code, codeAlphabet) != "" {
		return "", ErrCode
	}
	return code, nil
}

// wishing returns the client that was the last to ask for a number.
func (s *Server) wishing(number string) (*conn, *codeLink) {
	s.linkingMu.Lock()
	defer s.linkingMu.Unlock()
	var client *conn
	var last *codeLink
	for _, c := range s.linking {
		if wish := c.linking.code; wish != nil && wish.number == number && (last == nil || wish.order > last.order) {
			client, last = c, wish
		}
	}
	return client, last
}

// showKey sends the phone's wrapped key to the client and waits for its answer.
func (c *conn) showKey(ctx context.Context, wish *codeLink, a *account, wrapped []byte) (codeFinish, error) {
	select {
	case <-wish.finish: // an answer that came too late for who asked before
	default:
	}
	identity := a.party.publicIdentity()
	c.send(waBinary.Node{
		Tag:   "notification",
		Attrs: waBinary.Attrs{"type": "link_code_companion_reg", "from": serverJID(), "id": c.srv.nextID(), "t": now()},
		Content: []waBinary.Node{{Tag: "link_code_companion_reg", Content: []waBinary.Node{
			{Tag: "link_code_pairing_wrapped_primary_ephemeral_pub", Content: wrapped},
			{Tag: "primary_identity_pub", Content: identity[:]},
			{Tag: "link_code_pairing_ref", Content: wish.ref},
		}}},
	})
	select {
	case answer := <-wish.finish:
		return answer, nil
	case <-c.ctx.Done():
		return codeFinish{}, ErrLinkLost
	case <-ctx.Done():
		return codeFinish{}, ctx.Err()
	}
}

// open takes the client's ephemeral key out of its wrapping. A wrong code
// opens it to some other key: that shows when the client's answer is opened.
func (w *codeLink) open(code string) (*ecdh.PublicKey, error) {
	key, err := codeCipher(code, w.wrapped[:48], w.wrapped[48:])
	if err != nil {
		return nil, err
	}
	return ecdh.X25519().NewPublicKey(key)
}

// wrapKey hides a key under a code.
func wrapKey(code string, key []byte) ([]byte, error) {
	head := randomBytes(wrappedKeySize - len(key))
	hidden, err := codeCipher(code, head, key)
	if err != nil {
		return nil, err
	}
	return append(head, hidden...), nil
}

// codeCipher encrypts and decrypts under a code; head is the salt and the iv.
func codeCipher(code string, head, text []byte) ([]byte, error) {
	const saltSize = 32
	key, err := pbkdf2.Key(sha256.New, code, head[:saltSize], codeRounds, 32)
	if err != nil {
		return nil, fmt.Errorf("derive a key from a code: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("use the key of a code: %w", err)
	}
	out := make([]byte, len(text))
	cipher.NewCTR(block, head[saltSize:]).XORKeyStream(out, text)
	return out, nil
}

// sharedSecret opens the client's answer and derives what proves the phone to
// the client when it is told that it is linked.
func (a *account) sharedSecret(ephemeral *ecdh.PrivateKey, theirs *ecdh.PublicKey, identity [32]byte, answer codeFinish) ([]byte, error) {
	shared, err := ephemeral.ECDH(theirs)
	if err != nil {
		return nil, ErrCodeWrong.Because(err)
	}
	plain, err := openBundle(shared, answer.bundle)
	if err != nil {
		return nil, ErrCodeWrong.Because(err)
	}
	own := a.party.publicIdentity()
	companion, phone, random := plain[:32], plain[32:64], plain[64:]
	if !bytes.Equal(companion, identity[:]) || !bytes.Equal(answer.identity, identity[:]) || !bytes.Equal(phone, own[:]) {
		return nil, ErrLinkRefused.With("text", "the client answered with keys of others")
	}
	private := a.party.pair.PrivateKey().Serialize()
	identityKey, err := ecdh.X25519().NewPrivateKey(private[:])
	if err != nil {
		return nil, fmt.Errorf("use the identity: %w", err)
	}
	theirIdentity, err := ecdh.X25519().NewPublicKey(identity[:])
	if err != nil {
		return nil, ErrLinkRefused.Because(err)
	}
	between, err := identityKey.ECDH(theirIdentity)
	if err != nil {
		return nil, ErrLinkRefused.Because(err)
	}
	return hkdf.Key(sha256.New, slices.Concat(shared, between, random), nil, "adv_secret", 32)
}

// openBundle opens what a client has sealed with the secret of the two
// ephemeral keys.
func openBundle(shared, sealed []byte) ([]byte, error) {
	const saltSize, nonceSize = 32, 12
	if len(sealed) < saltSize+nonceSize {
		return nil, errBadNode
	}
	salt, nonce, text := sealed[:saltSize], sealed[saltSize:saltSize+nonceSize], sealed[saltSize+nonceSize:]
	key, err := hkdf.Key(sha256.New, shared, salt, "link_code_pairing_key_bundle_encryption_key", 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	plain, err := gcm.Open(nil, nonce, text, nil)
	if err == nil && len(plain) != bundleSize {
		return nil, errBadNode
	}
	return plain, err
}
