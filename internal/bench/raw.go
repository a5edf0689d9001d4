package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"

	"github.com/gofiber/fiber/v2"
)

// The mode in which bench is the raw server, and the server's only route.
const (
	childRaw = "serve-raw"
	rawPath  = "/messages"
)

// hello is what the raw server reads.
type hello struct {
	To   string `json:"to"`
	Text string `json:"text"`
}

// rawApp is R: the least that an HTTP API in Fiber can do. It decodes the same
// message with encoding/json and answers JSON, and knows no key, no checks and
// no database.
func rawApp() *fiber.App {
	app := fiber.New(fiber.Config{DisableStartupMessage: true})
	app.Post(rawPath, func(c *fiber.Ctx) error {
		var in hello
		if err := json.Unmarshal(c.Body(), &in); err != nil {
			return fiber.ErrBadRequest
		}
		return c.JSON(fiber.Map{"success": true, "to": in.To, "length": len(in.Text)})
	})
	return app
}

// serveRaw is the child's main: it serves on the given address until it is
// killed.
func serveRaw(ctx context.Context, args []string, _ io.Writer) error {
	if len(args) != 1 {
		return errors.New(childRaw + " wants an address")
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", args[0])
	if err != nil {
		return err
	}
	return rawApp().Listener(listener)
}

// startRaw runs R in a process of its own.
func (b *bench) startRaw(ctx context.Context) (*process, error) {
	address, err := freeAddress(ctx)
	if err != nil {
		return nil, err
	}
	p, err := spawn(ctx, address, cleanEnvironment(), b.self, childRaw, address)
	if err != nil {
		return nil, err
	}
	if err := p.listening(ctx); err != nil {
		p.stop()
		return nil, err
	}
	return p, nil
}

// rawTarget is the load of R.
func rawTarget(address string) *target {
	return &target{address: address, paths: []string{rawPath}, post: true, want: http.StatusOK}
}
