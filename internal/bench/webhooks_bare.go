package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"portaria/events/webhooks"
)

// childPoster is the mode in which bench is a program that posts: the ceiling
// of what delivers webhooks with net/http.
const childPoster = "post-webhooks"

// servePoster is the child's main: it obeys until nobody gives orders.
func servePoster(ctx context.Context, args []string, stdout io.Writer) error {
	if len(args) != 0 {
		return errors.New(childPoster + " wants no arguments")
	}
	return obey(&poster{ctx: ctx}, os.Stdin, stdout)
}

// poster posts the same body again and again. It signs nothing, reads no queue
// and remembers nothing.
type poster struct {
	ctx   context.Context
	stop  context.CancelFunc
	posts *errgroup.Group
}

// Posting says what a poster does. It is exported, as Tally and Ages are, for net/rpc.
type Posting struct {
	Addresses []string
	Each      int // connections to an address
	Bytes     int // of a body
}

// Start posts until Stop.
func (p *poster) Start(o Posting, _ *struct{}) error { //nolint:unparam // net/rpc wants an error of every method
	ctx, stop := context.WithCancel(p.ctx)
	group, ctx := errgroup.WithContext(ctx)
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: o.Each}, Timeout: ioTimeout}
	body := bytes.Repeat([]byte{'.'}, o.Bytes)
	for _, address := range o.Addresses {
		for range o.Each {
			group.Go(func() error { return postUntil(ctx, client, "http://"+address, body) })
		}
	}
	p.stop, p.posts = stop, group
	return nil
}

// Stop ends the posts. One that failed is an error.
func (p *poster) Stop(struct{}, *struct{}) error {
	p.stop()
	return p.posts.Wait()
}

// postUntil posts a body with headers as long as a delivery's until ctx ends.
func postUntil(ctx context.Context, client *http.Client, url string, body []byte) error {
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
		if err != nil {
			return err
		}
		request.Header.Set("Content-Type", "application/json")
		request.Header.Set(webhooks.HeaderID, "evt_"+strings.Repeat("0", 26))
		request.Header.Set(webhooks.HeaderTimestamp, "1769860800")
		request.Header.Set(webhooks.HeaderSignature, "v1,"+strings.Repeat("=", 44))
		if err := post(client, request); err != nil {
			if ctx.Err() != nil {
				return nil // it was told to stop
			}
			return err
		}
	}
}

func post(client *http.Client, request *http.Request) error {
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%w: %s", errStatus, response.Status)
	}
	_, err = io.Copy(io.Discard, response.Body)
	return err
}

// barePosts measures how fast posts of the size of deliveries reach as many
// doors, with as many connections as the gateway uses.
func (b *bench) barePosts(ctx context.Context, engine string, endpoints int) (_ sample, err error) {
	size := b.deliverySize[toldOn(engine, endpoints)]
	if size == 0 {
		return nil, nil // the deliveries were not measured in this round
	}
	r, err := b.hireReceiver(ctx, endpoints)
	if err != nil {
		return nil, err
	}
	defer r.dismiss()
	p, err := b.hire(ctx, childPoster)
	if err != nil {
		return nil, err
	}
	defer p.dismiss()
	stop, err := b.profile(ctx, p.meter.pid, barePostsOn(engine, endpoints))
	if err != nil {
		return nil, err
	}
	orders := Posting{Addresses: r.addresses, Each: connectionsEach, Bytes: size}
	if err := p.do(ctx, "Start", orders, new(struct{})); err != nil {
		return nil, err
	}
	s, err := r.flow(ctx, p.meter, b.window())
	return s, errors.Join(err, stop(), p.tell(ctx, "Stop"))
}

// flow measures what arrives while the window is open, and what it costs its
// sender's processes.
func (r *receiverChild) flow(ctx context.Context, m meter, w window) (sample, error) {
	if err := sleepUntil(ctx, w.from); err != nil {
		return nil, err
	}
	before, err := r.count(ctx)
	if err != nil {
		return nil, err
	}
	spent, err := m.during(ctx, w)
	if err != nil {
		return nil, err
	}
	after, err := r.count(ctx)
	if err != nil {
		return nil, err
	}
	came := float64(after.total() - before.total())
	if came == 0 {
		return nil, errors.New("not one post arrived while it was measured")
	}
	return sample{rate: came / w.until.Sub(w.from).Seconds(), cpu: float64(spent) / float64(time.Microsecond) / came}, nil
}
