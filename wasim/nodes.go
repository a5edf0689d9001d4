package wasim

import (
	"bytes"
	"compress/zlib"
	"errors"
	"fmt"
	"io"

	waBinary "go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/binary/token"
	"go.mau.fi/whatsmeow/types"
)

// What a stanza may hold. The largest that clients send are 812 prekeys
// (about 2,500 nodes) and a message to a group of a thousand members (5,000).
const (
	maxDepth = 16
	maxNodes = 1 << 15
	maxAttrs = 1 << 16
)

var errBadNode = errors.New("not a well-formed stanza")

// readNode decodes the plain text of a frame. whatsmeow's decoder trusts its
// input: it recurses without bound, makes lists as long as it is told and
// panics on some malformed strings. So the bytes are walked first, without
// building anything, and only what passes is decoded.
func readNode(plain []byte) (*waBinary.Node, error) {
	const compressed = 2
	if len(plain) == 0 {
		return nil, fmt.Errorf("%w: empty", errBadNode)
	}
	flags, data := plain[0], plain[1:]
	if flags&compressed != 0 {
		z, err := zlib.NewReader(bytes.NewReader(data))
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errBadNode, err)
		}
		if data, err = io.ReadAll(io.LimitReader(z, maxFrame+1)); err != nil {
			return nil, fmt.Errorf("%w: %w", errBadNode, err)
		}
		if len(data) > maxFrame {
			return nil, errFrameTooLarge
		}
	}
	if err := checkNode(data); err != nil {
		return nil, err
	}
	node, err := waBinary.Unmarshal(data)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errBadNode, err)
	}
	return node, nil
}

// checkNode reports whether data is one stanza that is safe to decode.
func checkNode(data []byte) error {
	w := &nodeWalk{data: data}
	w.node(1)
	if w.failed == nil && len(w.data) != 0 {
		w.fail("bytes left over")
	}
	return w.failed
}

// nodeWalk reads over an encoded stanza. After the first failure it reads
// nothing more.
type nodeWalk struct {
	data         []byte
	nodes, attrs int
	failed       error
}

func (w *nodeWalk) fail(why string) {
	if w.failed == nil {
		w.failed = fmt.Errorf("%w: %s", errBadNode, why)
	}
	w.data = nil
}

// number reads an unsigned number of size bytes.
func (w *nodeWalk) number(size int) int {
	if len(w.data) < size {
		w.fail("cut short")
		return 0
	}
	n := 0
	for _, b := range w.data[:size] {
		n = n<<8 | int(b)
	}
	w.data = w.data[size:]
	return n
}

func (w *nodeWalk) skip(n int) {
	if n > len(w.data) {
		w.fail("cut short")
		return
	}
	w.data = w.data[n:]
}

func (w *nodeWalk) node(depth int) {
	w.nodes++
	if depth > maxDepth || w.nodes > maxNodes {
		w.fail("too deep or too long")
		return
	}
	size := 0
	switch w.number(1) {
	case token.List8:
		size = w.number(1)
	case token.List16:
		size = w.number(2)
	}
	if size == 0 {
		w.fail("a node without a tag")
		return
	}
	w.text(w.number(1))
	for range (size - 1) / 2 {
		if w.attrs++; w.attrs > maxAttrs {
			w.fail("too many attributes")
		}
		if w.failed != nil {
			return
		}
		w.text(w.number(1))
		w.value(w.number(1))
	}
	if size%2 == 0 {
		w.content(depth, w.number(1))
	}
}

func (w *nodeWalk) content(depth, kind int) {
	size := 0
	switch kind {
	case token.List8:
		size = w.number(1)
	case token.List16:
		size = w.number(2)
	default:
		w.value(kind)
		return
	}
	for range size {
		if w.failed != nil {
			return
		}
		w.node(depth + 1)
	}
}

// value is an attribute's value or a content that is no list.
func (w *nodeWalk) value(kind int) {
	const agentAndDevice = 2
	switch kind {
	case token.ListEmpty:
	case token.JIDPair:
		if user := w.number(1); user != token.ListEmpty {
			w.text(user)
		}
		w.text(w.number(1))
	case token.ADJID:
		w.skip(agentAndDevice)
		w.text(w.number(1))
	default:
		w.text(kind)
	}
}

// text is anything that is decoded to a string (or to bytes). Addresses of
// other networks (Messenger and the like) have no business here.
func (w *nodeWalk) text(kind int) {
	switch kind {
	case token.Binary8:
		w.skip(w.number(1))
	case token.Binary20:
		w.skip(w.number(3) & 0xFFFFF)
	case token.Binary32:
		w.skip(w.number(4))
	case token.Nibble8, token.Hex8:
		const odd = 0x80
		size := w.number(1)
		if size == odd {
			w.fail("half a digit of nothing")
		}
		w.skip(size &^ odd)
	case token.Dictionary0, token.Dictionary1, token.Dictionary2, token.Dictionary3:
		w.skip(1)
	default:
		if kind < 1 || kind >= len(token.SingleByteTokens) {
			w.fail("unknown token")
		}
	}
}

// str returns an attribute that is a string, or "".
func str(n *waBinary.Node, name string) string {
	s, _ := n.Attrs[name].(string)
	return s
}

// jid returns an attribute that is an address, or the empty one.
func jid(n *waBinary.Node, name string) types.JID {
	j, _ := n.Attrs[name].(types.JID)
	return j
}

// body returns a node's content as bytes: short texts travel as strings.
func body(n *waBinary.Node) []byte {
	switch content := n.Content.(type) {
	case []byte:
		return content
	case string:
		return []byte(content)
	default:
		return nil
	}
}

// children returns the nodes inside n by reference.
func children(n *waBinary.Node) []waBinary.Node { return n.GetChildren() }

// child returns the first node with this tag inside n, or an empty node.
func child(n *waBinary.Node, tag string) *waBinary.Node {
	for i, c := range n.GetChildren() {
		if c.Tag == tag {
			return &n.GetChildren()[i]
		}
	}
	return &waBinary.Node{}
}
