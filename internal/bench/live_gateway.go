package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"
)

// serveLive starts a gateway whose WhatsApp is the simulated network, with a
// key for live instances.
func (b *bench) serveLive(ctx context.Context, engine string, n *network) (*product, error) {
	h, err := b.emptyHome(ctx, engine)
	if err != nil {
		return nil, err
	}
	h.env = append(h.env, n.environment()...)
	var key struct{ Token string }
	if err := b.cli(ctx, h, &key, "keys", "create", "--name", "bench", "--environment", "live", "--scope", "*",
		"--all-instances", "--rate-per-minute", "10000000", "--rate-burst", "1000000"); err != nil {
		h.drop()
		return nil, err
	}
	h.token = key.Token
	return b.serveHome(ctx, h)
}

// liveName is the name of the i-th instance.
func liveName(i int) string { return fmt.Sprintf("%s-%04d", theInstance, i) }

// names are those of n instances from the first on.
func (p *product) names(first, n int) (names []string) {
	for i := range n {
		names = append(names, liveName(first+i))
	}
	return names
}

// link makes live instances and links phones to all of them at once. It returns
// how long it took from the first connect until all were connected.
func (p *product) link(ctx context.Context, n *network, first, more int) (time.Duration, error) {
	unpaced := map[string]any{"pace": map[string]bool{"enabled": false}} // whatsmeow's loop knows no manners either
	err := p.forEach(first, more, func(name string) error {
		return p.call(http.MethodPost, "/v1/instances", map[string]any{"name": name, "settings": unpaced}, nil)
	})
	if err != nil {
		return 0, err
	}
	began := time.Now()
	codes := make([]string, more)
	group, showing := errgroup.WithContext(ctx)
	for i := range codes {
		group.Go(func() error { return p.code(showing, liveName(first+i), &codes[i]) })
	}
	if err := group.Wait(); err != nil {
		return 0, err
	}
	if err := n.scan(ctx, first, codes); err != nil {
		return 0, err
	}
	err = eventually(ctx, "the instances are connected", func() (bool, error) { return p.allConnected(first + more) })
	return time.Since(began), err
}

// forEach does something for instances, several at a time.
func (p *product) forEach(first, n int, do func(name string) error) error {
	var group errgroup.Group
	group.SetLimit(32)
	for _, name := range p.names(first, n) {
		group.Go(func() error { return do(name) })
	}
	return group.Wait()
}

// code connects an instance and asks for its QR until it is there: the gateway
// waits a little for it, but not for ever.
func (p *product) code(ctx context.Context, name string, code *string) error {
	if err := p.call(http.MethodPost, "/v1/instances/"+name+"/connect", nil, nil); err != nil {
		return err
	}
	var qr struct{ Code string }
	var last error
	err := eventually(ctx, name+" shows a code", func() (bool, error) {
		last = p.call(http.MethodGet, "/v1/instances/"+name+"/qr", nil, &qr)
		return last == nil, nil
	})
	if err != nil {
		return fmt.Errorf("%w: %w", err, last)
	}
	*code = qr.Code
	return nil
}

// allConnected asks whether so many instances are connected: one page of them,
// which is as many as are ever linked here.
func (p *product) allConnected(want int) (bool, error) {
	var page []struct{ State string }
	if err := p.call(http.MethodGet, "/v1/instances?limit=200", nil, &page); err != nil {
		return false, err
	}
	connected := 0
	for _, i := range page {
		if i.State == "connected" {
			connected++
		}
	}
	return connected >= want, nil
}

// liveLinks measures how long a gateway takes to link phones, and until all are
// back after the network was restarted.
func (b *bench) liveLinks(ctx context.Context, engine string) (_ sample, err error) {
	n, err := b.newNetwork(warming + linkedTogether)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, n.sim.Close()) }()
	p, err := b.serveLive(ctx, engine, n)
	if err != nil {
		return nil, err
	}
	defer p.end()
	if _, err := p.link(ctx, n, 0, warming); err != nil {
		return nil, err
	}
	took, err := p.link(ctx, n, warming, linkedTogether)
	if err != nil {
		return nil, err
	}
	back, err := n.returned(ctx)
	return sample{linkSeconds: took.Seconds(), backSeconds: back.Seconds()}, err
}
