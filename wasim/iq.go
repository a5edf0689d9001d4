package wasim

import (
	"errors"
	"maps"
	"strconv"

	waBinary "go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/types"
)

// iqKey says what a request is about. An empty child is the row for requests
// whose child has no row of its own.
type iqKey struct{ xmlns, kind, child string }

// iqHandler answers a request with the content of its result, or with an
// *iqError.
type iqHandler func(c *conn, iq *waBinary.Node) ([]waBinary.Node, error)

// iqError is a refusal as clients see it.
type iqError struct {
	code int
	text string
}

// Error implements error.
func (e *iqError) Error() string { return strconv.Itoa(e.code) + " " + e.text }

func errNotFound() error   { return &iqError{404, "item-not-found"} }
func errBadRequest() error { return &iqError{400, "bad-request"} }

// stanzaTable says who handles what a client sends. Tags without a row are
// logged; a nil row would be a mistake.
func stanzaTable() map[string]stanzaHandler {
	ignore := func(*conn, *waBinary.Node) {}
	return map[string]stanzaHandler{
		"iq":        (*conn).onIQ,
		"message":   (*conn).onMessage,
		"receipt":   (*conn).onReceipt,
		"ack":       (*conn).onAck,
		"presence":  ignore,
		"chatstate": (*conn).onChatState,
		"ib":        ignore,
		"call":      (*conn).onCall,
	}
}

// iqTable says who answers a linked client's requests: one function for each
// subject returns its rows.
func iqTable() map[iqKey]iqHandler {
	table := map[iqKey]iqHandler{}
	maps.Copy(table, accountIQs())
	maps.Copy(table, preKeyIQs())
	maps.Copy(table, usyncIQs())
	maps.Copy(table, mediaIQs())
	maps.Copy(table, groupIQs())
	return table
}

// linkIQTable is the table for clients that are not linked yet.
func linkIQTable() map[iqKey]iqHandler { return codeIQs() }

func (c *conn) onIQ(n *waBinary.Node) {
	kind := str(n, "type")
	if kind == "result" || kind == "error" {
		c.answered(n)
		return
	}
	table := c.srv.iqs
	if c.device == nil {
		table = c.srv.linkIQs
	}
	key := iqKey{xmlns: str(n, "xmlns"), kind: kind}
	if inside := children(n); len(inside) > 0 {
		key.child = inside[0].Tag
	}
	handler := table[key]
	if handler == nil {
		handler = table[iqKey{xmlns: key.xmlns, kind: kind}]
	}
	if handler == nil {
		c.log.Info("request without a handler", "xmlns", key.xmlns, "type", kind, "child", key.child)
		c.refuse(n, &iqError{501, "feature-not-implemented"})
		return
	}
	content, err := handler(c, n)
	if err != nil {
		c.refuse(n, err)
		return
	}
	c.answer(n, content)
}

func (c *conn) answer(iq *waBinary.Node, content []waBinary.Node) {
	result := waBinary.Node{Tag: "iq", Attrs: waBinary.Attrs{"type": "result", "id": iq.Attrs["id"], "from": answerer(iq)}}
	if len(content) > 0 {
		result.Content = content
	}
	c.send(result)
}

func (c *conn) refuse(iq *waBinary.Node, err error) {
	refusal := &iqError{500, "internal-server-error"}
	if !errors.As(err, &refusal) {
		c.log.Error("request failed", "xmlns", str(iq, "xmlns"), "error", err)
	}
	c.send(waBinary.Node{
		Tag:   "iq",
		Attrs: waBinary.Attrs{"type": "error", "id": iq.Attrs["id"], "from": answerer(iq)},
		Content: []waBinary.Node{{
			Tag: "error", Attrs: waBinary.Attrs{"code": refusal.code, "text": refusal.text},
		}},
	})
}

// answerer is whom a request was for: the answer comes from there.
func answerer(iq *waBinary.Node) types.JID {
	if to := jid(iq, "to"); !to.IsEmpty() {
		return to
	}
	return serverJID()
}
