package webhooks

import (
	"context"
	"fmt"
	"maps"
	"net/url"
	"time"

	"portaria/messaging"
)

// target is an endpoint as the lanes use it. It is not changed once made.
type target struct {
	Endpoint

	url      *url.URL // nil: it cannot be read
	policy   Policy
	secret   Secret // the zero value: it could not be opened
	previous Secret
}

// watcher is what the goroutine that watches endpoints remembers.
type watcher struct {
	d       *Dispatcher
	epoch   int64 // of the endpoints in memory
	read    bool  // they have been read
	adopted time.Time
	failing bool // the last look failed: the next failure is no news
}

// watch follows the endpoints and takes over what others leave, until ctx ends.
func (d *Dispatcher) watch(ctx context.Context) {
	w := &watcher{d: d}
	tick := time.NewTicker(d.timings.Poll)
	defer tick.Stop()
	for ctx.Err() == nil {
		err := w.look(ctx)
		if err != nil && !w.failing && ctx.Err() == nil {
			d.log.Error("webhooks: endpoints cannot be followed, trying again", "error", err)
		}
		w.failing = err != nil
		select {
		case <-tick.C:
		case <-d.looks:
		case <-ctx.Done():
		}
	}
}

func (w *watcher) look(ctx context.Context) error {
	d := w.d
	if err := w.reload(ctx); err != nil {
		return err
	}
	if d.takesPart() && time.Since(w.adopted) >= d.timings.Adopt {
		if err := d.adopt(ctx); err != nil {
			return err
		}
		w.adopted = time.Now()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.settled {
		d.settled = true
		d.tellRested()
	}
	return nil
}

// reload reads the endpoints when one has changed, or a delivery has come for
// one that was not there.
func (w *watcher) reload(ctx context.Context) error {
	d := w.d
	epoch, err := d.queue.EndpointEpoch(ctx)
	if err != nil {
		return fmt.Errorf("read endpoint epoch: %w", err)
	}
	d.mu.Lock()
	asked := maps.Clone(d.stale)
	d.mu.Unlock()
	if w.read && epoch == w.epoch && len(asked) == 0 {
		return nil
	}
	load := d.loads.Add(1)
	endpoints, err := d.queue.AllEndpoints(ctx)
	if err != nil {
		return fmt.Errorf("read endpoints: %w", err)
	}
	d.take(endpoints, load)
	w.epoch, w.read = epoch, true
	d.mu.Lock()
	defer d.mu.Unlock()
	for id, change := range asked {
		if d.stale[id] == change {
			delete(d.stale, id) // its lane has begun, or it is gone
		}
	}
	d.tellRested()
	return nil
}

// take gives every lane its endpoint as it stands, begins new lanes and ends
// those whose endpoints are gone.
func (d *Dispatcher) take(endpoints []Endpoint, load int64) {
	gone := make(map[string]*lane)
	for _, l := range d.allLanes() {
		gone[l.id] = l
	}
	for _, e := range endpoints {
		l := gone[e.ID]
		delete(gone, e.ID)
		if l == nil {
			world := messaging.World{WorkspaceID: e.WorkspaceID, Environment: e.Environment}
			l = newLane(d, e.ID, world, d.clock(world))
			d.mu.Lock()
			d.lanes[e.ID] = l
			d.mu.Unlock()
		}
		l.follow(d.target(e, l.current()), load)
	}
	for id, l := range gone {
		d.mu.Lock()
		delete(d.lanes, id)
		d.mu.Unlock()
		l.follow(nil, load)
	}
}

// target makes of an endpoint what a lane uses. What was opened before is not
// opened again.
func (d *Dispatcher) target(e Endpoint, before *target) *target {
	t := &target{Endpoint: e, policy: PolicyOf(&e.Webhook)}
	var err error
	if t.url, err = url.Parse(e.URL); err != nil {
		d.log.Error("webhook URL cannot be read", "webhook", e.ID)
		t.url = nil
	}
	if before != nil && before.Secret == e.Secret && before.PreviousSecret == e.PreviousSecret {
		t.secret, t.previous = before.secret, before.previous
		return t
	}
	if t.secret, err = openSecret(d.box, &e.Webhook, e.Secret); err != nil {
		d.log.Error("webhook secret cannot be opened: nothing is delivered until it is rotated, or the installation's secret key is that of before",
			"webhook", e.ID, "error", err)
	}
	if e.PreviousSecret == "" {
		return t
	}
	if t.previous, err = openSecret(d.box, &e.Webhook, e.PreviousSecret); err != nil {
		d.log.Error("previous webhook secret cannot be opened: it signs no more", "webhook", e.ID, "error", err)
	}
	return t
}
