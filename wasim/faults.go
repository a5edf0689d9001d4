package wasim

import (
	"strconv"
	"time"

	waBinary "go.mau.fi/whatsmeow/binary"
)

// FaultPlan says what goes wrong, where Inject's table does not do: its
// functions decide case by case. Its functions are called on the goroutine of
// the connection they are about, with no lock held; nil lets everything pass.
type FaultPlan struct {
	// Login is asked when a device that is linked logs in.
	Login func(number string, device uint16) *LoginFault
	// Message is asked when a message of a client has arrived, before anything
	// is done with it.
	Message func(number string, device uint16, messageID string) MessageFault
	// Media is asked when a file is uploaded (POST) or downloaded (GET); any
	// status but zero is the answer.
	Media func(method, kind string) (status int)
}

// LoginFault refuses a login with a <failure> stanza.
type LoginFault struct {
	Reason int           // 401, 403, 405, 503, …; see whatsmeow's ConnectFailureReason
	Code   int           // with reason 402: what the temporary ban is for
	Expire time.Duration // with reason 402: how long it lasts
}

// MessageFault changes what happens to one message. The zero value changes
// nothing.
type MessageFault struct {
	Lose       bool          // the message goes nowhere; with DropBefore false it is still answered
	NoAck      bool          // no answer is sent
	AckError   int           // the answer refuses the message, which then reaches nobody
	AckDelay   time.Duration // the answer is this much later than others
	DropBefore bool          // the connection ends before anything is done
	DropAfter  bool          // the connection ends when the message is taken and before its answer has left
}

// SetFaults replaces the plan for what happens from now on.
func (s *Server) SetFaults(plan FaultPlan) { s.faults.Store(&plan) }

// loginFault asks the plan, and where it lets the login pass, the faults that
// were ordered by name.
func (s *Server) loginFault(d *device) *LoginFault {
	if ask := s.faults.Load().Login; ask != nil {
		if f := ask(d.account.number, d.id); f != nil {
			return f
		}
	}
	return s.book.login(d.account.number)
}

// messageFault is the same for a message.
func (s *Server) messageFault(d *device, m *clientMessage) MessageFault {
	if ask := s.faults.Load().Message; ask != nil {
		if f := ask(d.account.number, d.id, m.id); f != (MessageFault{}) {
			return f
		}
	}
	return s.book.message(d.account.number, m)
}

// mediaFault is the same for a file.
func (s *Server) mediaFault(method, kind string) int {
	if ask := s.faults.Load().Media; ask != nil {
		if status := ask(method, kind); status != 0 {
			return status
		}
	}
	return s.book.media()
}

// stanza is the fault as the client gets it.
func (f *LoginFault) stanza() waBinary.Node {
	attrs := waBinary.Attrs{"reason": strconv.Itoa(f.Reason)}
	if f.Code != 0 {
		attrs["code"] = strconv.Itoa(f.Code)
	}
	if f.Expire != 0 {
		attrs["expire"] = strconv.Itoa(int(f.Expire / time.Second))
	}
	return waBinary.Node{Tag: "failure", Attrs: attrs}
}
