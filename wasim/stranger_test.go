package wasim

import (
	"bytes"
	"compress/zlib"
	"crypto/ecdh"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
	waBinary "go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/proto/waWa6"
	"go.mau.fi/whatsmeow/types"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"
)

// TestKeysAreTheSameInEveryProcess: clients load the authority once, and may
// outlive the simulator. The digests were written down when the keys were made.
func TestKeysAreTheSameInEveryProcess(t *testing.T) {
	root := RootKey()
	digest := sha256.Sum256(CAPEM())
	got := []string{hex.EncodeToString(root[:]), hex.EncodeToString(digest[:])}
	want := []string{
		"dc8a8f431b2ce924e05726fbbda14e596148e7a979dbe6773fafe2382dd28b68",
		"498abc02fec2c9423f1de05949d5d7f8e3919776ddb670f9353b1821a6e87cde",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("keys (-want +got):\n%s", diff)
	}
}

// TestFramesSurviveAnySplit: the borders of websocket messages mean nothing.
func TestFramesSurviveAnySplit(t *testing.T) {
	stream := []byte{'W', 'A', 6, 3, 0, 0, 2, 'h', 'i', 0, 0, 0, 0, 0, 1, '!'}
	f := newFrameReader(iotest.OneByteReader(bytes.NewReader(stream)))
	head, err := f.opening()
	if err != nil || !bytes.Equal(head, stream[:4]) {
		t.Fatalf("opening %q, %v", head, err)
	}
	for _, want := range []string{"hi", "", "!"} {
		if frame, err := f.next(maxFrame); err != nil || string(frame) != want {
			t.Errorf("frame %q, %v, want %q", frame, err, want)
		}
	}
	if _, err := f.next(maxFrame); !errors.Is(err, io.EOF) {
		t.Errorf("after the last frame: %v", err)
	}
}

// TestRoutingInformationIsPassedOver, as official clients send it.
func TestRoutingInformationIsPassedOver(t *testing.T) {
	f := newFrameReader(bytes.NewReader([]byte{0xED, 0, 1, 0, 0, 3, 'a', 'b', 'c', 'W', 'A', 6, 3}))
	if head, err := f.opening(); err != nil || string(head) != "WA\x06\x03" {
		t.Errorf("opening %q, %v", head, err)
	}
}

// TestTooLargeFrameIsRefusedUnread: the header alone decides.
func TestTooLargeFrameIsRefusedUnread(t *testing.T) {
	f := newFrameReader(bytes.NewReader([]byte{0xFF, 0xFF, 0xFF}))
	if _, err := f.next(maxFrame); !errors.Is(err, errFrameTooLarge) {
		t.Errorf("a frame of 16 MiB: %v", err)
	}
}

// TestStanzasThatHarmTheDecoderAreRefused: each of these makes whatsmeow's
// decoder panic, recurse or allocate without bound.
func TestStanzasThatHarmTheDecoderAreRefused(t *testing.T) {
	deep := bytes.Repeat([]byte{248, 2, 25, 248, 1}, 100_000)
	bomb := encode(waBinary.Node{Tag: "iq", Content: make([]byte, maxFrame)})
	for name, plain := range map[string][]byte{
		"nothing":                {},
		"an empty tag":           {0, 248, 1, 0},
		"an address as a tag":    {0, 248, 1, 250, 3, 3},
		"a list as a key":        {0, 248, 3, 25, 248, 0, 3},
		"half a digit":           {0, 248, 1, 255, 128},
		"an address of lists":    {0, 248, 2, 25, 250, 248, 0, 3},
		"a user that is none":    {0, 248, 2, 25, 247, 0, 1, 0},
		"depth":                  append([]byte{0}, deep...),
		"a list of nothing":      {0, 248, 2, 25, 249, 0xFF, 0xFF},
		"text that is not there": {0, 248, 2, 25, 254, 0xFF, 0xFF, 0xFF, 0xFF},
		"bytes left over":        {0, 248, 1, 25, 25},
		"more than fits":         bomb,
	} {
		t.Run(name, func(t *testing.T) {
			if name == "more than fits" {
				plain = pack(t, bomb)
			}
			if n, err := readNode(plain); err == nil {
				t.Errorf("read as %v", n.Tag)
			}
		})
	}
}

// TestWrittenStanzasAreRead: the check refuses nothing that clients send.
func TestWrittenStanzasAreRead(t *testing.T) {
	anyText := rapid.OneOf(rapid.StringN(1, 300, -1), rapid.SampledFrom([]string{"iq", "set", "12-34.5", "ABCDEF09", "pair-device"}))
	// The tag "0" is the library's way to write no node at all.
	text := anyText.Filter(func(s string) bool { return s != "0" })
	address := rapid.Custom(func(t *rapid.T) types.JID {
		j := types.NewJID(rapid.StringMatching(`[0-9]{5,15}`).Draw(t, "user"),
			rapid.SampledFrom([]string{types.DefaultUserServer, types.HiddenUserServer, types.GroupServer}).Draw(t, "server"))
		if j.Server != types.GroupServer {
			j.Device = uint16(rapid.IntRange(0, 99).Draw(t, "device"))
		}
		return j
	})
	var node func(depth int) *rapid.Generator[waBinary.Node]
	node = func(depth int) *rapid.Generator[waBinary.Node] {
		return rapid.Custom(func(t *rapid.T) waBinary.Node {
			n := waBinary.Node{Tag: text.Draw(t, "tag"), Attrs: waBinary.Attrs{"from": address.Draw(t, "from")}}
			for _, name := range rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"id", "type", "x"}), 0, 3, rapid.ID).Draw(t, "names") {
				n.Attrs[name] = text.Draw(t, name)
			}
			if depth > 0 && rapid.Bool().Draw(t, "inner") {
				n.Content = rapid.SliceOfN(node(depth-1), 1, 4).Draw(t, "content")
			} else {
				n.Content = rapid.SliceOfN(rapid.Byte(), 1, 300).Draw(t, "bytes")
			}
			return n
		})
	}
	rapid.Check(t, func(t *rapid.T) {
		want := node(3).Draw(t, "node")
		got, err := readNode(encode(want))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(&want, got); diff != "" {
			t.Errorf("read (-want +got):\n%s", diff)
		}
	})
}

// FuzzNode: what passes the check can be decoded without harm.
func FuzzNode(f *testing.F) {
	f.Add(encode(waBinary.Node{Tag: "iq", Attrs: waBinary.Attrs{"id": "1.2-3", "to": types.ServerJID}, Content: []waBinary.Node{
		{Tag: "count", Attrs: waBinary.Attrs{"jid": types.JID{User: "5511900000001", Device: 3, Server: types.HiddenUserServer}}},
		{Tag: "ref", Content: []byte("2@x")},
	}}))
	f.Add([]byte{0, 248, 1, 255, 128})
	f.Add([]byte{2, 0x78, 0x9c})
	f.Fuzz(func(_ *testing.T, plain []byte) {
		if n, err := readNode(plain); err == nil {
			parseMessage(n)
			receiptIDs(n)
			retryBundle(n)
		}
	})
}

// FuzzFrames: the reader ends with an error or gives frames within the limit.
func FuzzFrames(f *testing.F) {
	f.Add([]byte("WA\x06\x03\x00\x00\x01x"))
	f.Add([]byte{0xED, 0, 1, 0, 0, 1, 'x', 'W', 'A', 6, 3, 0, 0, 0})
	f.Fuzz(func(t *testing.T, stream []byte) {
		r := newFrameReader(bytes.NewReader(stream))
		if _, err := r.opening(); err != nil {
			return
		}
		for range len(stream) + 1 {
			frame, err := r.next(maxHelloFrame)
			if err != nil {
				return
			}
			if len(frame) > maxHelloFrame {
				t.Fatalf("a frame of %d bytes", len(frame))
			}
		}
		t.Fatal("more frames than bytes")
	})
}

// script is a peer that says what it is told to say, and nothing after.
type script struct{ *frameReader }

func (script) write([]byte) error { return nil }

// FuzzHandshake: nobody gets in without the keys, and nothing panics.
func FuzzHandshake(f *testing.F) {
	id, err := newNoiseIdentity()
	if err != nil {
		f.Fatal(err)
	}
	key, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	hello, err := proto.Marshal(&waWa6.HandshakeMessage{ClientHello: &waWa6.HandshakeMessage_ClientHello{Ephemeral: key.PublicKey().Bytes()}})
	if err != nil {
		f.Fatal(err)
	}
	finish, err := proto.Marshal(&waWa6.HandshakeMessage{ClientFinish: &waWa6.HandshakeMessage_ClientFinish{
		Static: make([]byte, 48), Payload: make([]byte, 16),
	}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(hello, finish)
	f.Add([]byte{}, []byte{0})
	f.Fuzz(func(t *testing.T, first, second []byte) {
		if len(first) > maxHelloFrame || len(second) > maxHelloFrame {
			return
		}
		stream := append([]byte("WA\x06\x03"), append(frameOf(first), frameOf(second)...)...)
		if _, err := id.shakeHands(script{newFrameReader(bytes.NewReader(stream))}); err == nil {
			t.Fatal("a stranger without keys got in")
		}
	})
}

// FuzzQR: a text of a stranger is a code or is not.
func FuzzQR(f *testing.F) {
	f.Add("https://wa.me/settings/linked_devices#2@x,AAAA,AAAA,AAAA,1")
	f.Fuzz(func(t *testing.T, text string) {
		if code, err := parseQR(text); err == nil && (code.ref == "" || len(code.secret) != 32) {
			t.Fatalf("%q is no code", text)
		}
	})
}

// FuzzOpen: a contact survives whatever is sent to it as encrypted.
func FuzzOpen(f *testing.F) {
	for _, kind := range []string{"pkmsg", "msg", "skmsg"} {
		f.Add(kind, []byte{0x33, 0x0a, 0x00})
		f.Add(kind, []byte{})
	}
	p := newParty("5511900000001")
	from := peer("5511900000002", 1)
	f.Fuzz(func(t *testing.T, kind string, data []byte) {
		if _, err := p.open(from, sealed{kind: kind, data: data}); err == nil {
			t.Fatal("opened what nobody has encrypted")
		}
	})
}

// TestShortenedDelayLetsNothingOvertake: answers keep their order.
func TestShortenedDelayLetsNothingOvertake(t *testing.T) {
	o := newOutbox()
	late := time.Now().Add(time.Hour)
	o.put(outgoing{plain: []byte("first"), due: late})
	o.put(outgoing{plain: []byte("second"), due: time.Now()})
	batch := o.take(t.Context())
	if len(batch) != 2 || string(batch[0].plain) != "first" || batch[1].due.Before(late) {
		t.Errorf("taken: %+v", batch)
	}
}

// TestClientThatDoesNotReadIsNotFedForever.
func TestClientThatDoesNotReadIsNotFedForever(t *testing.T) {
	o := newOutbox()
	for range maxOutgoing {
		if !o.put(outgoing{}) {
			t.Fatal("refused below the limit")
		}
	}
	if o.put(outgoing{}) {
		t.Error("took more than the limit")
	}
}

// TestContactNeverOffersAKeyTwice: two clients that fetch keys at the same time
// begin two sessions.
func TestContactNeverOffersAKeyTwice(t *testing.T) {
	p := newParty("5511900000001")
	seen := map[uint32]bool{}
	for range maxOffered {
		keys := p.newBundle()
		if keys.oneTime == nil || keys.oneTime.id == 0 || seen[keys.oneTime.id] {
			t.Fatalf("offered %v after %d others", keys.oneTime, len(seen))
		}
		seen[keys.oneTime.id] = true
	}
	if keys := p.newBundle(); keys.oneTime != nil {
		t.Error("the keys of somebody who never writes grow without bound")
	}
}

// TestAddressesAreReversible: no table says which LID belongs to which number.
func TestAddressesAreReversible(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		number := rapid.StringMatching(`[1-9][0-9]{4,14}`).Draw(t, "number")
		for _, j := range []types.JID{
			types.NewJID(number, types.DefaultUserServer), types.NewJID(lidOf(number), types.HiddenUserServer),
		} {
			if got := numberOf(j); got != number {
				t.Errorf("%s belongs to %q, want %q", j, got, number)
			}
		}
	})
}

// pack compresses an encoded stanza as its first byte can say.
func pack(t *testing.T, plain []byte) []byte {
	t.Helper()
	var packed bytes.Buffer
	packed.WriteByte(2)
	z := zlib.NewWriter(&packed)
	if _, err := z.Write(plain[1:]); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return packed.Bytes()
}
