package wasim

import (
	"context"
	"log/slog"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
	waBinary "go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/types"
)

const (
	// handshakeTimeout is how long a stranger may take to say who it is.
	handshakeTimeout = 10 * time.Second
	// idleTimeout ends a connection on which nothing arrives; clients ask for
	// a sign of life every 20 to 30 seconds.
	idleTimeout = 3 * time.Minute
	// farewell is left between the last stanza and the end of the connection:
	// whatsmeow forgets a stanza that it has read and not handled when the end
	// comes first. A busy machine needs more than the moment that an idle one does.
	farewell = 200 * time.Millisecond
	// hangUp is how long a client may take that ends the connection itself.
	hangUp = 10 * time.Second
)

// stanzaHandler handles one stanza of a client, on the connection's own
// goroutine: stanzas of one client are handled in the order they were sent.
type stanzaHandler func(c *conn, n *waBinary.Node)

// conn is one client's connection. Either it belongs to a linked device, or it
// shows a QR code and waits to be linked.
type conn struct {
	srv    *Server
	log    *slog.Logger
	ctx    context.Context // ends with the connection
	cancel context.CancelFunc
	socket *socket
	frames *frameReader
	keys   *greeting
	outbox outbox

	device  *device  // nil until the client has logged in
	linking *linking // nil but for a client that is not linked

	// returned is device for the goroutine that writes, while it is fed in parts.
	returned atomic.Pointer[device]

	silent atomic.Bool // a fault: nothing is said any more, and nothing heard

	waitersMu sync.Mutex
	waiters   map[string]chan *waBinary.Node
}

// serveChat is the address that clients connect to. It returns when the
// connection ends.
func (s *Server) serveChat(w http.ResponseWriter, r *http.Request) {
	current, ok := r.Context().Value(runKey{}).(*run)
	if !ok {
		http.Error(w, "not served here", http.StatusInternalServerError)
		return
	}
	// The origin is web.whatsapp.com under whatever name we were dialed.
	ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
	if err != nil {
		s.log.Debug("not a websocket", "error", err)
		return
	}
	ws.SetReadLimit(maxFrame + maxHelloFrame)
	ctx, cancel := context.WithCancel(current.ctx)
	c := &conn{
		srv: s, log: s.log, ctx: ctx, cancel: cancel,
		socket:  &socket{ctx: ctx, ws: ws},
		outbox:  newOutbox(),
		waiters: map[string]chan *waBinary.Node{},
	}
	c.frames = newFrameReader(c.socket)
	defer ws.CloseNow() //nolint:errcheck // it may be closed already
	defer c.drop()
	if s.book.silences("") {
		c.swallow()
		return
	}
	if err := c.greet(); err != nil {
		s.log.Debug("handshake failed", "error", err)
		return
	}
	var writer sync.WaitGroup
	writer.Go(c.write)
	defer writer.Wait()
	defer c.drop()
	defer c.leave()
	c.admit()
	c.read()
}

// greet performs the handshake within its time.
func (c *conn) greet() error {
	timer := time.AfterFunc(handshakeTimeout, c.drop)
	defer timer.Stop()
	keys, err := c.srv.noise.shakeHands(handshaking{c})
	c.keys = keys
	return err
}

// handshaking is a connection before its frames are encrypted.
type handshaking struct{ *conn }

func (h handshaking) opening() ([]byte, error)       { return h.frames.opening() }
func (h handshaking) next(limit int) ([]byte, error) { return h.frames.next(limit) }

func (h handshaking) write(body []byte) error {
	if !waitUntil(h.ctx, h.due()) {
		return h.ctx.Err()
	}
	return h.socket.write(body)
}

// drop ends the connection without a word: the websocket is closed when the
// context of its reader ends.
func (c *conn) drop() { c.cancel() }

// leave tells all who know the connection that it is gone.
func (c *conn) leave() {
	if c.device != nil {
		c.device.detach(c)
	}
	if c.linking != nil {
		c.srv.forgetLinking(c)
	}
}

// read is where stanzas arrive.
func (c *conn) read() {
	idle := time.AfterFunc(idleTimeout, c.drop)
	defer idle.Stop()
	for {
		frame, err := c.frames.next(maxFrame)
		if err != nil {
			c.log.Debug("connection ended", "error", err)
			return
		}
		idle.Reset(idleTimeout)
		plain, err := c.keys.incoming.open(frame)
		if err != nil {
			c.log.Warn("frame cannot be decrypted", "error", err)
			return
		}
		node, err := readNode(plain)
		if err != nil {
			c.log.Warn("stanza cannot be read", "error", err)
			return
		}
		c.handle(node)
	}
}

func (c *conn) handle(n *waBinary.Node) {
	if c.silent.Load() {
		return
	}
	handler, ok := c.srv.stanzas[n.Tag]
	if !ok {
		c.log.Info("stanza without a handler", "tag", n.Tag)
		return
	}
	if c.device == nil && (n.Tag != "iq" || c.linking == nil) {
		return // not linked yet, or refused: nothing else means anything
	}
	handler(c, n)
	c.srv.state.note()
}

// send is where stanzas leave.
func (c *conn) send(n waBinary.Node) { c.sendEncoded(encode(n)) }

// sendEncoded sends what encode has made.
func (c *conn) sendEncoded(plain []byte) { c.sendDue(plain, c.due()) }

func (c *conn) sendDue(plain []byte, due time.Time) {
	if c.silent.Load() {
		return
	}
	if !c.outbox.put(outgoing{plain: plain, due: due}) {
		c.log.Warn("client does not read; dropped", "waiting", maxOutgoing)
		c.drop()
	}
}

// sendLater sends a stanza after a delay of its own, past which others may go.
func (c *conn) sendLater(n waBinary.Node, delay time.Duration) {
	if delay <= 0 {
		c.send(n)
		return
	}
	time.AfterFunc(delay, func() { c.send(n) })
}

// finish sends a last stanza and ends the connection.
func (c *conn) finish(n waBinary.Node) {
	patience := farewell
	if str(&n, "code") == restartCode {
		patience = hangUp
	}
	c.outbox.put(outgoing{plain: encode(n), due: c.due(), last: true, patience: patience})
}

func (c *conn) due() time.Time { return c.srv.due() }

// due is when an answer leaves that is ready now.
func (s *Server) due() time.Time {
	return time.Now().Add(time.Duration(s.roundTrip.Load() + s.extraDelay.Load()))
}

// write encrypts and writes what is sent. The frames' counter makes this the
// only place that may.
func (c *conn) write() {
	defer c.drop()
	for {
		for _, item := range c.take() {
			if !waitUntil(c.ctx, item.due) {
				return
			}
			if err := c.socket.write(c.keys.outgoing.seal(item.plain)); err != nil {
				c.log.Debug("frame cannot be written", "error", err)
				return
			}
			if item.last {
				c.part(item.patience)
				return
			}
		}
		if c.ctx.Err() != nil {
			return
		}
	}
}

// part waits for the client to hang up, and then ends the connection in good
// order: data that meets a closed socket would reset it, and the client would
// lose what it has not read.
func (c *conn) part(patience time.Duration) {
	if !waitUntil(c.ctx, time.Now().Add(patience)) {
		return
	}
	if err := c.socket.ws.Close(websocket.StatusNormalClosure, ""); err != nil {
		c.log.Debug("connection not closed in order", "error", err)
	}
}

// ask sends an IQ of the server's own and returns the channel that its answer
// will be on. No answer comes when the connection ends first: wait for c.ctx too.
func (c *conn) ask(iq waBinary.Node) <-chan *waBinary.Node {
	answer := make(chan *waBinary.Node, 1)
	c.waitersMu.Lock()
	c.waiters[str(&iq, "id")] = answer
	c.waitersMu.Unlock()
	c.send(iq)
	return answer
}

// answered hands an IQ's answer to who asked.
func (c *conn) answered(n *waBinary.Node) {
	id := str(n, "id")
	c.waitersMu.Lock()
	answer := c.waiters[id]
	delete(c.waiters, id)
	c.waitersMu.Unlock()
	if answer != nil {
		answer <- n
	}
}

// encode writes a stanza as it is before encryption.
func encode(n waBinary.Node) []byte {
	plain, err := waBinary.Marshal(n)
	if err != nil {
		// It fails for types that cannot be encoded only, which is a mistake of ours.
		panic("wasim: encode " + n.Tag + ": " + err.Error())
	}
	return plain
}

// now is the time as stanzas carry it.
func now() string { return strconv.FormatInt(time.Now().Unix(), 10) }

// restartCode in a stream error tells a client to connect anew at once.
const restartCode = "515"

// streamError is the stanza that ends a stream: for a reason that has a code,
// or because of another stream, or both.
func streamError(code, conflict string) waBinary.Node {
	n := waBinary.Node{Tag: "stream:error", Attrs: waBinary.Attrs{"code": code}}
	if conflict != "" {
		n.Content = []waBinary.Node{{Tag: "conflict", Attrs: waBinary.Attrs{"type": conflict}}}
	}
	return n
}

// serverJID is the server itself as a sender and recipient of stanzas.
func serverJID() types.JID { return types.ServerJID }
