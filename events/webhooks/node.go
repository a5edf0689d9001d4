package webhooks

import (
	"context"
	"fmt"
	"time"

	"portaria/messaging"
)

// nodePrefix begins the name of a process.
const nodePrefix messaging.IDPrefix = "nod_"

// leavePatience bounds the last word of a node.
const leavePatience = 3 * time.Second

// alive reports whether the node's claims hold. While they do not, nothing is
// tried: its deliveries may be another's.
func (d *Dispatcher) alive() bool {
	lease := d.lease.Load()
	return lease != nil && time.Now().Before(*lease)
}

// renewals keeps the node's claims while there is anything to claim. It has a
// goroutine of its own, so that no slow read makes a living node look dead.
func (d *Dispatcher) renewals(ctx context.Context) {
	tick := time.NewTicker(d.timings.Renew)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		if d.takesPart() {
			if err := d.renew(ctx); err != nil && ctx.Err() == nil {
				d.log.Error("webhooks: claims not renewed, trying again", "node", d.node, "error", err)
			}
		}
	}
}

// takesPart reports whether there is anything that a node could deliver.
func (d *Dispatcher) takesPart() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.lanes) > 0 || len(d.stale) > 0
}

// renew makes the node's claims hold for another lease. A node that others have
// taken for gone forgets what it has not begun, and begins anew.
func (d *Dispatcher) renew(ctx context.Context) error {
	d.renewing.Lock() // nobody may get new claims while another forgets what the old ones were for
	defer d.renewing.Unlock()
	ctx, cancel := context.WithTimeout(ctx, d.timings.Lease/2)
	defer cancel()
	var before time.Time
	if lease := d.lease.Load(); lease != nil {
		before = *lease
	}
	for {
		until := time.Now().Add(d.timings.Lease)
		ours, err := d.nodes.Renew(ctx, d.node, until.UTC())
		if err != nil {
			return fmt.Errorf("renew node: %w", err)
		}
		if ours {
			d.lease.Store(&until)
			break
		}
		d.log.Warn("webhooks: this node was taken for gone, its deliveries are others' now", "node", d.node)
		before = time.Time{}
		d.lease.Store(nil)
		for _, l := range d.allLanes() {
			l.forget()
		}
		pause(ctx, d.timings.Read)
	}
	if !time.Now().Before(before) { // it may have ended while the store was asked
		for _, l := range d.allLanes() {
			l.resume()
		}
		d.lookAgain()
	}
	return nil
}

// lookAgain has those who wait for rest look again.
func (d *Dispatcher) lookAgain() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.tellRested()
}

// adopt takes over what nobody delivers.
func (d *Dispatcher) adopt(ctx context.Context) error {
	if !d.alive() {
		if err := d.renew(ctx); err != nil {
			return err
		}
	}
	ids, err := d.nodes.Adopt(ctx, d.node, time.Now().UTC(), d.alone)
	if err != nil {
		return fmt.Errorf("adopt deliveries: %w", err)
	}
	for _, id := range ids {
		d.mu.Lock()
		l, ok := d.lanes[id]
		d.mu.Unlock()
		if ok {
			l.lookAhead()
		} else {
			d.Changed(id)
		}
	}
	return nil
}

// leave gives up the node's claims, so that others need not wait for their end.
func (d *Dispatcher) leave(ctx context.Context) error {
	if d.lease.Load() == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, leavePatience)
	defer cancel()
	if err := d.nodes.Leave(ctx, d.node); err != nil {
		return fmt.Errorf("leave: %w", err)
	}
	return nil
}
