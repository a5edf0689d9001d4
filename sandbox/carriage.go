package sandbox

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"portaria/messaging"
)

// debt is what the network still has to tell about one message it took.
type debt struct {
	key       CarriageKey
	messageID string
	acked     int64                     // when the network acknowledged it, in microseconds
	ackTold   bool                      // the pump's own, as the next
	left      int                       // steps to be reported
	echo      *messaging.InboundMessage // of stepEcho
}

// bundle is what becomes due at one moment for one instance: the clock is asked
// once for all of it.
type bundle struct {
	workspace string
	instance  string
	era       int64 // how often its workspace had been forgotten when it was made
	due       time.Time
	items     []item
	change    messaging.Record // an instance's change instead of items
}

// item is one step of one message.
type item struct {
	debt *debt
	kind stepKind
}

// size is the number of records that the bundle becomes.
func (b *bundle) size() int {
	if b.change != nil {
		return 1
	}
	return len(b.items)
}

// appendRecords adds what the bundle says to the journal. Times are those at
// which things were due, not those at which the machine got round to them.
func (b *bundle) appendRecords(records []messaging.Record) []messaging.Record {
	if b.change != nil {
		return append(records, b.change)
	}
	for _, it := range b.items {
		// Who sent the message records that it was sent, but a receipt may
		// overtake that; the journal would take its time for that of sending.
		if !it.debt.ackTold {
			it.debt.ackTold = true
			records = append(records, b.status(it.debt, messaging.StatusSent, time.UnixMicro(it.debt.acked).UTC()))
		}
		switch it.kind {
		case stepSent:
		case stepDelivered:
			records = append(records, b.status(it.debt, messaging.StatusDelivered, b.due))
		case stepRead:
			records = append(records, b.status(it.debt, messaging.StatusRead, b.due))
		case stepEcho:
			records = append(records, *it.debt.echo)
		}
	}
	return records
}

func (b *bundle) status(d *debt, status messaging.Status, at time.Time) messaging.StatusChange {
	return messaging.StatusChange{
		WorkspaceID: b.workspace, Environment: messaging.Test, MessageID: d.messageID, Status: status, At: at,
	}
}

// dated is an item with its time, in microseconds.
type dated struct {
	due int64
	item
}

// bundles sorts what is owed for one instance and puts together what is due at
// one time; within a bundle the order is that of all.
func bundles(workspace, instance string, all []dated) []*bundle {
	slices.SortStableFunc(all, func(a, b dated) int { return cmp.Compare(a.due, b.due) })
	items := make([]item, len(all)) // one array for all bundles
	var out []*bundle
	for from := 0; from < len(all); {
		to := from
		for to < len(all) && all[to].due == all[from].due {
			items[to] = all[to].item
			to++
		}
		out = append(out, &bundle{workspace: workspace, instance: instance, due: time.UnixMicro(all[from].due).UTC(), items: items[from:to:to]})
		from = to
	}
	return out
}

// appendSteps makes d the debt for a carried message, and adds its steps.
func appendSteps(all []dated, d *debt, c *Carried) []dated {
	d.key, d.messageID = c.Key(), c.MessageID
	p := planFor(c.To, c.Sandbox)
	acked := c.CarriedAt.Add(p.ack)
	d.acked = acked.UnixMicro()
	if p.ack > 0 {
		all = append(all, dated{d.acked, item{d, stepSent}})
		d.left++
	}
	for _, s := range p.steps {
		due := acked.Add(s.after)
		if s.kind == stepEcho {
			d.echo = echoOf(c, due)
		}
		all = append(all, dated{due.UnixMicro(), item{d, s.kind}})
		d.left++
	}
	return all
}

// echoOf is what the contact answers: the same text, so that whoever writes STOP
// hears STOP, or the kind of what is no text. Its WhatsApp id is derived from that of
// the message it answers, so that it is recorded once however often it comes.
func echoOf(c *Carried, at time.Time) *messaging.InboundMessage {
	body := string(c.Content.Kind)
	if c.Content.Text != nil {
		body = c.Content.Text.Body
	}
	from := messaging.Address{Input: c.To.WAID, WAID: c.To.WAID}
	if phone := c.To.Phone(); phone != "" {
		from.Input = "+" + phone
	}
	return &messaging.InboundMessage{Message: messaging.Message{
		ID:          messaging.NewID(messaging.MessagePrefix, time.Now()),
		WorkspaceID: c.WorkspaceID,
		Environment: messaging.Test,
		InstanceID:  c.InstanceID,
		Direction:   messaging.Inbound,
		Peer:        from,
		Content:     messaging.Content{Kind: messaging.KindText, Text: &messaging.Text{Body: body}},
		Priority:    messaging.Normal,
		WAMessageID: echoID(c.WAMessageID),
		CreatedAt:   at,
		State:       messaging.State{Status: messaging.StatusReceived},
	}}
}

func echoID(waMessageID string) string {
	sum := sha256.Sum256([]byte("echo of " + waMessageID))
	return "3EB0" + strings.ToUpper(hex.EncodeToString(sum[:9]))
}
