package messaging

import "strings"

// Address is where a message goes to or came from: what the caller wrote, and
// the WhatsApp id that it stands for.
type Address struct {
	Input string
	WAID  string // digits@s.whatsapp.net, …@g.us, …@lid or …@newsletter
}

// The servers that stand behind the @ of a WhatsApp id.
const (
	UserServer       = "s.whatsapp.net"
	GroupServer      = "g.us"
	LIDServer        = "lid"
	NewsletterServer = "newsletter"
)

// Phone returns the digits of a person's number, or "" when the address is not
// a phone number.
func (a Address) Phone() string {
	user, server, _ := strings.Cut(a.WAID, "@")
	if server != UserServer {
		return ""
	}
	return user
}

// Group returns the id of the group that an answer to the address goes to, or
// "" when it goes to a person.
func (a Address) Group() string {
	for _, id := range [...]string{a.Input, a.WAID} {
		if _, server, _ := strings.Cut(id, "@"); server == GroupServer {
			return id
		}
	}
	return ""
}

// sandboxRange is the range of magic recipients, +1 500 555 xxxx.
const sandboxRange = "1500555"

// IsSandboxNumber reports whether the address lies in the range that only the
// sandbox may send to.
func (a Address) IsSandboxNumber() bool {
	p := a.Phone()
	return len(p) == len(sandboxRange)+4 && strings.HasPrefix(p, sandboxRange)
}
