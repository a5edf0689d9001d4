package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"time"

	"github.com/valyala/fasthttp"
)

// theInstance is the name of the instance that most variants send from.
const theInstance = "bench"

// home is an installation that has not been started: a database with an
// instance and a key.
type home struct {
	env      []string
	token    string
	database bool   // on PostgreSQL
	drop     func() // throws it away
}

// homeOn makes an installation. An unpaired instance is not connected, so that
// its messages are accepted and wait.
func (b *bench) homeOn(ctx context.Context, engine string, unpaired bool) (*home, error) {
	h, err := b.emptyHome(ctx, engine)
	if err != nil {
		return nil, err
	}
	create := []string{"instances", "create", "--name", theInstance, "--environment", "test"}
	if unpaired {
		create = append(create, "--unpaired")
	}
	var key struct{ Token string }
	err = b.cli(ctx, h, nil, create...)
	if err == nil {
		err = b.cli(ctx, h, &key, "keys", "create", "--name", "bench", "--environment", "test", "--scope", "*",
			"--all-instances", "--rate-per-minute", "10000000", "--rate-burst", "1000000")
	}
	if err != nil {
		h.drop()
		return nil, err
	}
	h.token = key.Token
	return h, nil
}

// emptyHome is a folder, and a database when the engine wants one.
func (b *bench) emptyHome(ctx context.Context, engine string) (*home, error) {
	dir, err := b.freshDir()
	if err != nil {
		return nil, err
	}
	h := &home{env: cleanEnvironment("PORTARIA_DATA_DIR=" + dir), drop: func() {}}
	if engine == postgres {
		address, drop, err := b.database.server.NewDatabase(ctx)
		if err != nil {
			return nil, err
		}
		h.env, h.database, h.drop = append(h.env, "DATABASE_URL="+address), true, drop
	}
	drop := h.drop
	h.drop = func() {
		drop()
		_ = os.RemoveAll(dir) // it goes with the whole folder at the latest
	}
	return h, nil
}

// cli runs a command of the product and reads the JSON that it prints.
func (b *bench) cli(ctx context.Context, h *home, into any, args ...string) error {
	cmd := exec.CommandContext(ctx, b.portaria, append(args, "--json")...)
	cmd.Env = h.env
	said := new(logTail)
	cmd.Stderr = said
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("portaria %s %s: %w: %s", args[0], args[1], err, said)
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(out, into)
}

// calls is how many calls of the API may be made at once, beside the load.
const calls = 128

// product is a running gateway.
type product struct {
	*process

	home   *home
	client *fasthttp.HostClient
}

// exec starts the gateway and returns at once. The home is thrown away with
// it, or when it cannot be started.
func (b *bench) exec(ctx context.Context, h *home) (*product, error) {
	address, err := freeAddress(ctx)
	if err != nil {
		h.drop()
		return nil, err
	}
	p, err := spawn(ctx, address, h.env, b.portaria, "serve", "--listen", address)
	if err != nil {
		h.drop()
		return nil, err
	}
	if h.database {
		p.meter.postmaster = b.database.postmaster
	}
	return &product{process: p, home: h, client: (&target{address: address}).client(calls)}, nil
}

// serve makes an installation, starts it and waits until the key works.
func (b *bench) serve(ctx context.Context, engine string, unpaired bool) (*product, error) {
	h, err := b.homeOn(ctx, engine, unpaired)
	if err != nil {
		return nil, err
	}
	return b.serveHome(ctx, h)
}

// serveHome starts an installation and waits until its key works.
func (b *bench) serveHome(ctx context.Context, h *home) (*product, error) {
	p, err := b.exec(ctx, h)
	if err != nil {
		return nil, err
	}
	if err = p.listening(ctx); err == nil {
		err = p.call(http.MethodGet, "/v1/me", nil, nil)
	}
	if err != nil {
		p.end()
		return nil, err
	}
	return p, nil
}

// end stops the gateway and throws its data away.
func (p *product) end() {
	p.client.CloseIdleConnections()
	p.stop()
	p.home.drop()
}

// sendPath is where an instance's messages are posted.
func sendPath(instance string) string { return "/v1/instances/" + instance + "/messages" }

// target is a load of messages from these instances, whose answers are 202.
func (p *product) target(instances ...string) *target {
	t := &target{address: p.address, tokens: []string{p.home.token}, post: true, want: http.StatusAccepted}
	for _, name := range instances {
		t.paths = append(t.paths, sendPath(name))
	}
	return t
}

// call makes one request of the API and reads the answer's data. Any answer
// but 2xx is an error.
func (p *product) call(method, path string, body, data any) error {
	request, response := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
	defer fasthttp.ReleaseRequest(request)
	defer fasthttp.ReleaseResponse(response)
	request.SetRequestURI("http://" + p.address + path)
	request.Header.SetMethod(method)
	request.Header.Set("Authorization", "Bearer "+p.home.token)
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return err
		}
		request.Header.SetContentType("application/json")
		request.SetBodyRaw(text)
	}
	if err := p.client.DoTimeout(request, response, ioTimeout); err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	if status := response.StatusCode(); status < 200 || status > 299 {
		return fmt.Errorf("%s %s: %w: %d: %.300s", method, path, errStatus, status, response.Body())
	}
	if data == nil {
		return nil
	}
	var answer struct{ Data any }
	answer.Data = data
	return json.Unmarshal(response.Body(), &answer)
}

// noop measures an authenticated request that does nothing.
func (b *bench) noop(ctx context.Context) (sample, error) {
	p, err := b.serve(ctx, sqlite, true)
	if err != nil {
		return nil, err
	}
	defer p.end()
	t := &target{address: p.address, paths: []string{"/v1/me"}, tokens: []string{p.home.token}, want: http.StatusOK}
	return b.beside(ctx, variantNoop, p.process, t)
}

// accepts measures how fast messages are taken while none is sent: their
// instance is not connected.
func (b *bench) accepts(ctx context.Context, engine string) (sample, error) {
	p, err := b.serve(ctx, engine, true)
	if err != nil {
		return nil, err
	}
	defer p.end()
	return b.beside(ctx, acceptOn(engine), p.process, p.target(theInstance))
}

// start measures how long an installation takes to its first accepted message.
func (b *bench) start(ctx context.Context) (sample, error) {
	h, err := b.homeOn(ctx, sqlite, false)
	if err != nil {
		return nil, err
	}
	p, err := b.exec(ctx, h)
	if err != nil {
		return nil, err
	}
	defer p.end()
	return p.firstMessage(ctx, sendPath(theInstance))
}

// firstRun measures the same from nothing: the first run makes the database, a
// key and an instance, and tells the key in its banner.
func (b *bench) firstRun(ctx context.Context) (sample, error) {
	h, err := b.emptyHome(ctx, sqlite)
	if err != nil {
		return nil, err
	}
	p, err := b.exec(ctx, h)
	if err != nil {
		return nil, err
	}
	defer p.end()
	if h.token, err = p.said(ctx, tokenPattern()); err != nil {
		return nil, err
	}
	return p.firstMessage(ctx, "/v1/messages")
}

func (p *product) firstMessage(ctx context.Context, path string) (sample, error) {
	if err := p.listening(ctx); err != nil {
		return nil, err
	}
	t := target{address: p.address, paths: []string{path}, tokens: []string{p.home.token}, post: true, want: http.StatusAccepted}
	if err := t.worker(p.client, 0, 1).shoot(); err != nil {
		return nil, err
	}
	return sample{firstAccept: milliseconds(time.Since(p.began))}, nil
}
