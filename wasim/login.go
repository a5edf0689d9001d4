package wasim

import (
	"strconv"

	waBinary "go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/proto/waWa6"
	"go.mau.fi/whatsmeow/types"
)

// admit decides what a client that has said who it is may do: log in, or show
// a QR code.
func (c *conn) admit() {
	if c.keys.payload.GetUsername() == 0 {
		c.beginLinking()
		return
	}
	c.login(c.keys.payload)
}

// login opens the stream of a linked device, or refuses it: a device that was
// unlinked, and a stranger with another key, look the same.
func (c *conn) login(payload *waWa6.ClientPayload) {
	d := c.srv.linked(payload)
	if d == nil || d.noise != c.keys.static {
		c.finish((&LoginFault{Reason: 401}).stanza())
		return
	}
	if c.srv.book.silences(d.account.number) {
		c.silent.Store(true)
		return
	}
	if fault := c.srv.loginFault(d); fault != nil {
		c.finish(fault.stanza())
		return
	}
	c.device = d
	c.log = c.log.With("number", d.account.number, "device", d.id)
	replaced := d.attach(c, waBinary.Node{Tag: "success", Attrs: waBinary.Attrs{
		"t": now(), "lid": d.jid(types.HiddenUserServer),
	}})
	if replaced != nil {
		// The stream of a client that has reconnected is dead already, and one
		// that lives belongs to another process under the same account.
		replaced.finish(streamError("", "replaced"))
	}
}

// linked returns the device that a login is for, or nil.
func (s *Server) linked(payload *waWa6.ClientPayload) *device {
	a := s.knownAccount(strconv.FormatUint(payload.GetUsername(), 10))
	if a == nil || payload.GetDevice() > maxDevice {
		return nil
	}
	return a.companion(uint16(payload.GetDevice()))
}
