package webhooks

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"time"

	"portaria/messaging"
)

// verdict is what a try says of its endpoint.
type verdict uint8

const (
	saysNothing verdict = iota // nothing was posted
	saysWell
	saysIll
	saysGone // it wants nothing any more
)

// work tries one delivery after the other while there are some.
func (l *lane) work(row Delivery, t *target) {
	for more := true; more; {
		a, says, done := l.try(row, t)
		l.mu.Lock()
		l.trying--
		if done {
			l.settle(a, t, says)
		} else {
			l.letGo(&row)
		}
		row, t, more = l.pick()
		l.pump() // the endpoint may be well again
		if !more {
			l.ring()
		}
		l.mu.Unlock()
	}
}

// try posts a delivery, if its endpoint wants it. It is not done when the
// dispatcher ends first: another process will try it.
func (l *lane) try(row Delivery, t *target) (a Attempt, says verdict, done bool) {
	text, ok := l.body(&row)
	switch {
	case !ok:
		return Attempt{}, saysNothing, false
	case text.gone:
		row.State, row.ErrorClass = Failed, ClassGone
		return Attempt{Delivery: row}, saysNothing, true
	case !row.Direct && !text.admittedBy(t.Chats), !t.concerns(&row, text):
		return Attempt{Delivery: row, Unwanted: true}, saysNothing, true
	}
	got := answer{class: ClassInternal}
	if text.text != nil && t.url != nil && t.secret.key != "" {
		got = l.d.poster.post(l.d.posting, t, l.header(&row, t, text.text), text.text)
		says = got.says()
		if says == saysIll && got.status == 0 && l.d.posting.Err() != nil {
			return Attempt{}, saysNothing, false
		}
	}
	l.judge(&row, t, got, says == saysGone && !l.hasMoved(t))
	return Attempt{Delivery: row}, says, true
}

// concerns reports whether the endpoint, which may have been narrowed since the
// delivery was queued, may still be told of its instance, or of all those of a
// bulk.
func (t *target) concerns(row *Delivery, text *body) bool {
	switch {
	case t.Instances == nil || row.EventType == messaging.EventWebhookTest:
		return true
	case row.InstanceID == "":
		return messaging.OnlyInstances(t.Instances...).OpensAll(text.instances)
	default:
		return slices.Contains(t.Instances, row.InstanceID)
	}
}

// hasMoved reports whether the endpoint has another URL by now.
func (l *lane) hasMoved(t *target) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.movedFrom(t)
}

// movedFrom does what hasMoved says. l.mu is held.
func (l *lane) movedFrom(t *target) bool { return l.target != nil && l.target.URL != t.URL }

// says is what an answer tells of the endpoint.
func (a *answer) says() verdict {
	switch {
	case a.class == "":
		return saysWell
	case a.status == http.StatusGone:
		return saysGone
	default:
		return saysIll
	}
}

// body finds what is posted. It waits while the store cannot say; false when
// the dispatcher ends meanwhile.
func (l *lane) body(row *Delivery) (found *body, ok bool) {
	for l.d.ctx.Err() == nil {
		found, err := l.d.bodies.find(l.d.ctx, l.world, row.Sequence, l.coming)
		if err == nil {
			return found, true
		}
		if l.d.ctx.Err() == nil {
			l.d.log.Error("event of a webhook delivery not read, trying again", "webhook", l.id, "error", err)
			pause(l.d.ctx, l.d.timings.Retry)
		}
	}
	return nil, false
}

// coming returns the sequences of the events that will be wanted next.
func (l *lane) coming() []int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	next := make([]int64, 0, loadAhead)
	for i := range l.queue[:min(len(l.queue), loadAhead-1)] {
		next = append(next, l.queue[i].Sequence)
	}
	return next
}

// header makes the header of a try. Its timestamp is the machine's, also for a
// world whose clock shows another time: the receiver compares it with its own.
func (l *lane) header(row *Delivery, t *target, text []byte) http.Header {
	timestamp := strconv.FormatInt(time.Now().Unix(), 10)
	signatures := appendSignature(make([]byte, 0, 128), t.secret, row.EventID, timestamp, text)
	if t.previous.key != "" && l.clock.Now().Before(t.SecretRotatedUntil) {
		signatures = appendSignature(signatures, t.previous, row.EventID, timestamp, text)
	}
	return http.Header{
		"Content-Type":      {"application/json"},
		"User-Agent":        {l.d.poster.userAgent},
		"Webhook-Id":        {row.EventID},
		"Webhook-Timestamp": {timestamp},
		"Webhook-Signature": {string(signatures)},
		// It is not sent, but tells net/http that the request may be made again on
		// another connection when the receiver has closed an idle one.
		"Idempotency-Key": nil,
	}
}

// judge notes on a delivery what became of a try, and when the next one is due.
func (l *lane) judge(row *Delivery, t *target, got answer, gone bool) {
	now := l.clock.Now().UTC().Truncate(time.Microsecond)
	row.Attempts++
	row.AttemptedAt = now
	row.StatusCode, row.Duration, row.ErrorClass, row.Answer = got.status, got.took, got.class, got.kept
	wait, again := t.policy.next(row.Attempts)
	switch {
	case got.class == "":
		row.State = Delivered
	case gone || !again:
		row.State = Failed
	default:
		row.Due = now.Add(max(wait, got.retryAfter)).Truncate(time.Microsecond)
	}
}

// settle takes what a try has found out, and has it recorded. l.mu is held.
func (l *lane) settle(a Attempt, t *target, says verdict) {
	if l.movedFrom(t) {
		says = saysNothing // it tells of another place
	}
	reason := ""
	switch says {
	case saysNothing:
	case saysWell:
		l.health.succeeded(l.d.loads.Load())
	case saysGone:
		reason = messaging.ReasonGone
	case saysIll:
		if l.health.failed(a.AttemptedAt, l.d.loads.Load()) {
			reason = messaging.ReasonFailing
		}
	}
	if l.health.off {
		reason = "" // another try has said so
	}
	if reason != "" {
		l.health.off, l.health.offFor = true, allLoads
	}
	l.recording++
	l.d.work.Go(func() { l.record(a, t, reason) })
}

// record has the store take a result, however long that takes.
func (l *lane) record(a Attempt, t *target, reason string) {
	err := l.d.persist("result of a webhook delivery not recorded, trying again", l.id, func(ctx context.Context) error {
		return l.d.queue.Attempted(ctx, a)
	})
	if reason != "" {
		l.switchOff(t, reason)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.recording--
	if err == nil {
		l.recorded(&a)
	}
	l.letGo(&a.Delivery)
	l.note()
	l.pump()
	l.ring()
}

// recorded makes of a result what the lane waits for next. l.mu is held.
func (l *lane) recorded(a *Attempt) {
	later := a.State == Pending && !a.Unwanted
	if l.target != nil && l.target.Ordered {
		l.block(a, later)
	}
	if later {
		l.arm(a.Due) // unless another is due before: then all is looked at again
	}
}

// block has the deliveries of an instance wait for one of them, or frees them.
// l.mu is held.
func (l *lane) block(a *Attempt, later bool) {
	if !later {
		if l.blocked[a.InstanceID] == a.ID {
			delete(l.blocked, a.InstanceID)
			l.unread = true
		}
		return
	}
	l.blocked[a.InstanceID] = a.ID
	kept := l.queue[:0:0]
	for i := range l.queue {
		if row := &l.queue[i]; row.InstanceID == a.InstanceID && row.ID > a.ID {
			delete(l.known, row.ID)
		} else {
			kept = append(kept, *row)
		}
	}
	l.queue = kept
}

// letGo forgets a delivery that was in hand: the database knows better from now
// on. l.mu is held.
func (l *lane) letGo(row *Delivery) {
	l.stuck = false
	if l.busy[row.InstanceID]--; l.busy[row.InstanceID] == 0 {
		delete(l.busy, row.InstanceID)
	}
	if l.reading {
		l.late = append(l.late, row.ID)
		return
	}
	delete(l.known, row.ID)
}
