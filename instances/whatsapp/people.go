package whatsapp

import (
	"sync"
	"time"

	"go.mau.fi/whatsmeow/types"
)

const (
	// knownFor and absentFor are how long WhatsApp's answer about a number is
	// believed.
	knownFor  = 24 * time.Hour
	absentFor = 10 * time.Minute
	// maxPeople bounds what a channel remembers.
	maxPeople = 4096
)

// person is what WhatsApp has said of a recipient; also a group or a newsletter.
type person struct {
	to     types.JID // where messages go
	lid    types.JID // the id that sessions are named by; empty for groups
	exists bool
	ready  bool      // there is a session with its phone
	until  time.Time // when WhatsApp is to be asked again
}

func (p *person) isPerson() bool {
	return p.to.Server == types.DefaultUserServer || p.to.Server == types.HiddenUserServer
}

// people remembers what is known of recipients, by the address that callers
// use.
type people struct {
	mu    sync.Mutex
	known map[string]person
}

func (k *people) find(waID string, now time.Time) (person, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	p, ok := k.known[waID]
	return p, ok && now.Before(p.until)
}

func (k *people) put(waID string, p person) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.known == nil {
		k.known = make(map[string]person)
	}
	if len(k.known) >= maxPeople {
		for any := range k.known { // the order of a map is as good as any
			delete(k.known, any)
			break
		}
	}
	k.known[waID] = p
}

// forget makes the next message to a recipient ask again.
func (k *people) forget(waID string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.known, waID)
}
