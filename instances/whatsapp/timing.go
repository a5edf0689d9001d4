package whatsapp

import (
	"math/rand/v2"
	"time"
)

// Timing says how long things may take. Tests shorten it.
type Timing struct {
	// Ack is how long a message waits for WhatsApp's acknowledgement. It usually
	// comes within a second; whatsmeow holds the instance until then.
	Ack time.Duration
	// Ping is how long a connection has to answer when an acknowledgement is
	// missing; one that does not is dead.
	Ping time.Duration
	// Lookup bounds the questions about a recipient.
	Lookup time.Duration
	// Connect bounds the time from dialling to being logged in.
	Connect time.Duration
	// ReconnectMin and ReconnectMax bound the delay between two connections: it
	// doubles from one to the other, and a connection that lasts begins anew.
	ReconnectMin, ReconnectMax time.Duration
	// Pairing is how long a phone may take to scan a code.
	Pairing time.Duration
	// Logout bounds telling WhatsApp that a session is over.
	Logout time.Duration
	// ColdHold is how long messages to people who never wrote are held when
	// WhatsApp has locked reaching out: it does not say until when.
	ColdHold time.Duration
	// Upload and Download bound the transfer of a file.
	Upload, Download time.Duration
	// RetryMin and RetryMax bound the delay before a message is tried again.
	RetryMin, RetryMax time.Duration
}

func (t Timing) withDefaults() Timing {
	for field, value := range map[*time.Duration]time.Duration{
		&t.Ack: 5 * time.Second, &t.Ping: 2 * time.Second, &t.Lookup: 5 * time.Second, &t.Connect: time.Minute,
		&t.ReconnectMin: time.Second, &t.ReconnectMax: time.Minute, &t.Pairing: 160 * time.Second, &t.Logout: 15 * time.Second,
		&t.ColdHold: time.Hour, &t.Upload: 2 * time.Minute, &t.Download: time.Minute,
		&t.RetryMin: time.Second, &t.RetryMax: 5 * time.Minute,
	} {
		if *field == 0 {
			*field = value
		}
	}
	return t
}

// backoff is the delay after a number of failures, at random between one half
// and the whole: a thousand instances that lost their server together must not
// come back together.
func backoff(failures int, least, most time.Duration) time.Duration {
	d := most
	if failures < 30 {
		d = min(least<<failures, most)
	}
	if d <= 1 {
		return d
	}
	return d/2 + rand.N(d/2)
}
