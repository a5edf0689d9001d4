package webhooks_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"portaria/events/webhooks"
	"portaria/messaging"
)

// view is the store as one process sees it: after its crash there is nothing.
type view struct {
	*memory

	mu      sync.Mutex
	crashed bool
}

func (v *view) gone() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.crashed {
		return errDown
	}
	return nil
}

func (v *view) crash() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.crashed = true
}

func (v *view) Attempted(ctx context.Context, a webhooks.Attempt) error {
	return ifAlive(v, func() error { return v.memory.Attempted(ctx, a) })
}

func (v *view) Renew(ctx context.Context, node string, until time.Time) (ours bool, err error) {
	err = ifAlive(v, func() error { ours, err = v.memory.Renew(ctx, node, until); return err })
	return ours, err
}

func (v *view) Adopt(ctx context.Context, node string, now time.Time, alone bool) (ids []string, err error) {
	err = ifAlive(v, func() error { ids, err = v.memory.Adopt(ctx, node, now, alone); return err })
	return ids, err
}

func (v *view) SetFailing(ctx context.Context, e webhooks.Endpoint, since time.Time) error {
	return ifAlive(v, func() error { return v.memory.SetFailing(ctx, e, since) })
}

func (v *view) Disable(ctx context.Context, e webhooks.Endpoint, reason string, at time.Time) error {
	return ifAlive(v, func() error { return v.memory.Disable(ctx, e, reason, at) })
}

func (v *view) Leave(ctx context.Context, node string) error {
	return ifAlive(v, func() error { return v.memory.Leave(ctx, node) })
}

func ifAlive(v *view, do func() error) error {
	if err := v.gone(); err != nil {
		return err
	}
	return do()
}

// chance is a world whose receivers fail as rapid draws it.
type chance struct {
	*world

	rt    *rapid.T
	hooks []messaging.Webhook
	tries map[string]int // by webhook and event: how many tries fail
	view  *view
	ends  int // of processes

	mu    sync.Mutex
	posts map[string][]string // by webhook: the events, in the order of their posts
	made  map[string]int      // by webhook and event
}

// post is the network: it refuses an event of an endpoint as often as was drawn.
func (c *chance) post(r *http.Request) (*http.Response, error) {
	io.Copy(io.Discard, r.Body)
	hook, event := r.URL.Hostname(), r.Header.Get("webhook-id")
	c.mu.Lock()
	defer c.mu.Unlock()
	c.posts[hook] = append(c.posts[hook], event)
	key := hook + event
	c.made[key]++
	status := http.StatusOK
	if c.made[key] <= c.tries[key] {
		status = http.StatusInternalServerError
	}
	return &http.Response{StatusCode: status, Header: make(http.Header), Body: io.NopCloser(bytes.NewReader(nil))}, nil
}

// process begins a process as one after a crash does: it knows to be alone.
func (c *chance) process() {
	c.view = &view{memory: c.memory}
	o := c.options()
	o.Queue, o.Nodes = c.view, c.view
	o.Timings.Grace = time.Millisecond
	d, err := webhooks.NewDispatcher(o)
	if err != nil {
		c.rt.Fatal(err)
	}
	d.PostWith(c.post)
	c.memory.deliverAs(d.Node(), d.Queued)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = d.Run(ctx) // a crashed one cannot leave
	}()
	c.dispatcher = d
	c.stop = func() {
		cancel()
		<-done
	}
	until(c.t, "the dispatcher has begun", d.Settled)
}

// Whatever fails, and whenever a process ends or is killed, every delivery ends
// after exactly its tries, an ordered endpoint is told in order, and each event
// is posted at least once under its id.
func TestWhateverFailsEverythingIsDeliveredOrHasFailed(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		c := &chance{world: newWorld(t), rt: rt, tries: make(map[string]int), posts: make(map[string][]string), made: make(map[string]int)}
		for n := range rapid.IntRange(1, 3).Draw(rt, "endpoints") {
			c.hooks = append(c.hooks, c.webhook(fmt.Sprintf("http://127.0.0.%d/", n+1), func(p *webhooks.Patch) {
				p.Ordered = pointer(rapid.Bool().Draw(rt, "ordered"))
				p.MaxAttempts = pointer(rapid.IntRange(1, 4).Draw(rt, "max attempts"))
				p.Schedule = pointer(rapid.SliceOfN(rapid.SampledFrom([]time.Duration{0, time.Second, time.Minute}), 1, 3).Draw(rt, "schedule"))
			}))
		}
		c.process()
		defer func() { c.stop() }()
		var events []messaging.Event
		for range rapid.IntRange(1, 30).Draw(rt, "acts") {
			switch rapid.SampledFrom([]string{"event", "event", "event", "pass", "crash", "restart", "idle"}).Draw(rt, "act") {
			case "event":
				events = append(events, c.drawnEvent(rapid.SampledFrom([]string{"ins_a", "ins_b", ""}).Draw(rt, "instance")))
			case "pass":
				c.clock.pass(time.Duration(rapid.IntRange(1, 90).Draw(rt, "seconds")) * time.Second)
			case "crash":
				c.view.crash()
				c.ends++
				c.stop()
				c.process()
			case "restart":
				c.ends++
				c.stop()
				c.process()
			case "idle":
				c.idle()
			}
		}
		c.finish()
		c.check(events)
	})
}

// drawnEvent records an event, and first draws how often it fails.
func (c *chance) drawnEvent(instance string) messaging.Event {
	fails := make([]int, len(c.hooks))
	for i := range c.hooks {
		fails[i] = rapid.SampledFrom([]int{0, 0, 1, 2, 5}).Draw(c.rt, "failures")
	}
	c.memory.setFail(func(op string) error { return map[string]error{"EventsAt": errDown}[op] }) // so that its id is known before it is posted
	defer c.memory.setFail(nil)
	e := c.event(instance)
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, hook := range c.hooks {
		c.tries[host(hook)+e.ID] = fails[i]
	}
	return e
}

func host(hook messaging.Webhook) string { return hook.URL[len("http://") : len(hook.URL)-1] }

// finish lets time pass until nothing is to be done any more.
func (c *chance) finish() {
	for range 200 {
		c.idle()
		due, waits := c.clock.next()
		if !waits {
			return
		}
		c.clock.pass(due.Sub(c.clock.Now()))
	}
	c.rt.Fatal("there is no end")
}

func (c *chance) check(events []messaging.Event) {
	for _, hook := range c.hooks {
		list := c.memory.list(hook.ID)
		if len(list) != len(events) {
			c.rt.Fatalf("%d deliveries of %d events", len(list), len(events))
		}
		policy := webhooks.PolicyOf(&hook)
		for _, d := range list {
			key := host(hook) + d.EventID
			want, state := c.tries[key]+1, webhooks.Delivered
			if want > policy.MaxAttempts {
				want, state = policy.MaxAttempts, webhooks.Failed
			}
			// The end of a process may lose a try that was made: then there is one
			// more, and one that the receiver has counted is not among those recorded.
			spare := c.made[key] - d.Attempts
			if d.State == webhooks.Pending || d.Attempts > policy.MaxAttempts || spare < 0 || spare > c.ends {
				c.rt.Errorf("%s after %d tries and %d posts", d.State, d.Attempts, c.made[key])
			}
			if c.ends == 0 && (d.State != state || d.Attempts != want || spare != 0) {
				c.rt.Errorf("%s after %d tries and %d posts, want %s after %d", d.State, d.Attempts, c.made[key], state, want)
			}
		}
		if hook.Ordered {
			c.checkOrder(host(hook), events)
		}
	}
}

// checkOrder looks at the first posts of the events of each instance.
func (c *chance) checkOrder(host string, events []messaging.Event) {
	posts := make(map[string][]string) // by instance
	for _, id := range c.posts[host] {
		i := slices.IndexFunc(events, func(e messaging.Event) bool { return e.ID == id })
		instance := events[i].InstanceID
		if n := len(posts[instance]); n == 0 || posts[instance][n-1] != id {
			posts[instance] = append(posts[instance], id)
		}
	}
	for instance, ids := range posts {
		if !slices.IsSortedFunc(ids, byEvent) {
			c.rt.Errorf("the events of %q were posted as %v", instance, ids)
		}
	}
}
