package gateway_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"
	"github.com/valyala/fasthttp/fasthttputil"

	"portaria/auth"
	"portaria/gateway"
	"portaria/instances/pairlink"
	"portaria/instances/proxy"
	"portaria/messaging"
	"portaria/outbox"
)

// benchBody is a body of 196 bytes, as in the method of docs/BENCHMARKS.md.
const benchBody = `{"to":"+55 11 91234-5678","text":"Your order 4711 has left our warehouse in Sao Paulo and will arrive tomorrow from 9 to 12.","priority":"normal","metadata":{"order":"4711","shop":"centro-01-sp"}}`

// idle is a world that accepts at once and remembers nothing.
type idle struct {
	world

	grant    *auth.Grant
	instance messaging.Instance
}

func (w *idle) Authenticate(context.Context, string) (*auth.Grant, error) { return w.grant, nil }

func (w *idle) Resolve(context.Context, messaging.Tenancy, string) (messaging.Instance, error) {
	return w.instance, nil
}

func (w *idle) Log(messaging.RequestLog) {}

func (w *idle) Accept(_ context.Context, d outbox.Draft) (messaging.Message, error) {
	now := time.Now().UTC()
	return messaging.Message{
		ID: messaging.NewID(messaging.MessagePrefix, now), WorkspaceID: workspace, Environment: messaging.Test,
		InstanceID: d.Instance.ID, Direction: messaging.Outbound,
		Peer:    messaging.Address{Input: d.To, WAID: "5511912345678@s.whatsapp.net"},
		Content: d.Content, Metadata: d.Metadata, WAMessageID: "3EB0B430B6F8F1D0E053AC", KeyID: d.KeyID, CreatedAt: now,
		State: messaging.State{Status: messaging.StatusQueued},
	}, nil
}

// BenchmarkAccept is what the door costs for one message on a kept connection
// in memory, without the key directory and the store, which have benchmarks of
// their own. Compare it with BenchmarkRawFiber.
func BenchmarkAccept(b *testing.B) {
	w := &idle{instance: messaging.Instance{ID: "ins_01jd00000000000000000000aa", WorkspaceID: workspace, Environment: messaging.Test, Name: "a"}}
	scopes, err := auth.ParseScopes([]string{"whatsapp:send"}, messaging.Test)
	if err != nil {
		b.Fatal(err)
	}
	w.grant = &auth.Grant{
		KeyID: "key_000000000000", Lineage: "key_000000000000", Workspace: workspace, Environment: messaging.Test, Scopes: scopes,
		Instances: []auth.AllowedInstance{{ID: w.instance.ID, Name: "a"}}, Requests: auth.NewBucket(1_000_000_000, 1_000_000_000),
	}
	library, _ := newLibrary(b)
	options := gateway.Options{
		Media: library, Auth: w, Sender: w, Instances: w, Reader: w, Awaiter: w, Clocks: w, Idempotency: w, Logs: w, Ready: w,
		Connections: w, Numbers: w, Proxies: new(proxy.Book), Pacer: w, Links: pairlink.New(newLinkStore(&w.world), nil),
		Logger:  slog.New(slog.NewTextHandler(io.Discard, nil)),
		ClockOf: func(messaging.Tenancy) messaging.Clock { return machineClock{} },
	}
	furnish(b, &w.world, &options)
	newBulkShelf(&w.world, &options)
	newActsShelf(&w.world, &options)
	newTestWorld(&w.world, &options)
	server, err := gateway.New(options)
	if err != nil {
		b.Fatal(err)
	}
	listener := fasthttputil.NewInmemoryListener()
	ctx, cancel := context.WithCancel(b.Context())
	served := make(chan error, 1)
	go func() { served <- server.Serve(ctx, listener) }()
	exchangeMany(b, listener)
	cancel()
	if err := <-served; err != nil {
		b.Error(err)
	}
}

// BenchmarkRawFiber is a Fiber server that decodes the same body with
// encoding/json and answers JSON: the unit of the speed targets.
func BenchmarkRawFiber(b *testing.B) {
	app := fiber.New(fiber.Config{DisableStartupMessage: true})
	app.Post("/v1/messages", func(c *fiber.Ctx) error {
		var body struct {
			To, Text, Priority string
			Metadata           map[string]string
		}
		if err := json.Unmarshal(c.Request().Body(), &body); err != nil { //nolint:forbidigo // the raw server does what raw servers do
			return err
		}
		return c.Status(http.StatusAccepted).JSON(fiber.Map{"hello": body.To})
	})
	listener := fasthttputil.NewInmemoryListener()
	served := make(chan error, 1)
	go func() { served <- app.Listener(listener) }()
	exchangeMany(b, listener)
	if err := app.Shutdown(); err != nil {
		b.Error(err)
	}
	<-served
}

// exchangeMany sends b.N messages over one connection, each after the answer
// to the one before.
func exchangeMany(b *testing.B, listener *fasthttputil.InmemoryListener) {
	b.Helper()
	conn, err := listener.Dial()
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	request := "POST /v1/messages HTTP/1.1\r\nHost: localhost:8080\r\nUser-Agent: bench\r\nContent-Type: application/json\r\n" +
		"Authorization: Bearer sk_test_00000000000000000000000000000000000000000000000000\r\nContent-Length: 196\r\n\r\n" + benchBody
	exchange(b, conn, bufio.NewReader(conn), []byte(request))
}

// pipelined is how many requests are under way at once, so that switching
// between the two ends does not hide what the door costs.
const pipelined = 32

func exchange(b *testing.B, conn net.Conn, reader *bufio.Reader, request []byte) {
	b.Helper()
	if len(benchBody) != 196 {
		b.Fatalf("the body has %d bytes", len(benchBody))
	}
	batch := bytes.Repeat(request, pipelined)
	var answer fasthttp.Response
	b.ReportAllocs()
	b.ResetTimer()
	for done := 0; done < b.N; done += pipelined {
		if _, err := conn.Write(batch); err != nil {
			b.Fatal(err)
		}
		for range pipelined {
			if err := answer.Read(reader); err != nil || answer.StatusCode() != fasthttp.StatusAccepted {
				b.Fatalf("%d (%v)", answer.StatusCode(), err)
			}
		}
	}
}
