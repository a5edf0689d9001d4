package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/proto/waE2E"
	"go.mau.fi/whatsmeow/store/sqlstore"
	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/types/events"
	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/proto"

	"portaria/store"
	"portaria/wasim"
)

// childBare is the mode in which bench is whatsmeow and nothing else: what a
// program does that calls SendMessage in a loop, on whatsmeow's own store, in a
// database that is set as the gateway's.
const childBare = "serve-whatsmeow"

// serveBare is the child's main: it obeys until nobody gives orders.
func serveBare(ctx context.Context, args []string, stdout io.Writer) error {
	if len(args) != 4 {
		return errors.New(childBare + " wants the network's address, a folder, a database or -, and how many phones there are")
	}
	db, dialect, err := store.OpenWhatsApp(ctx, store.Options{DataDir: args[1], DatabaseURL: strings.TrimPrefix(args[2], "-")})
	if err != nil {
		return err
	}
	defer db.Close()
	container := sqlstore.NewWithDB(db, dialect, nil)
	if err := container.Upgrade(ctx); err != nil {
		return err
	}
	phones, err := positive(args[3])
	if err != nil {
		return err
	}
	whatsmeow.WACertPubKey = wasim.RootKey()
	bare := &bareClients{ctx: ctx, addr: args[0], phones: phones, container: container}
	defer bare.hangUp()
	return obey(bare, os.Stdin, stdout)
}

// bareClients are clients as whatsmeow makes them.
type bareClients struct {
	ctx       context.Context
	addr      string
	phones    int
	container *sqlstore.Container
	clients   []*whatsmeow.Client
	connected atomic.Int64

	stop    context.CancelFunc // of the loops
	sending *errgroup.Group
}

// Link makes clients and returns their codes.
func (b *bareClients) Link(n int, codes *[]string) error {
	*codes = make([]string, n)
	made := make([]*whatsmeow.Client, n)
	group, ctx := errgroup.WithContext(b.ctx)
	for i := range n {
		made[i] = b.client()
		group.Go(func() (err error) {
			(*codes)[i], err = b.code(ctx, made[i])
			return err
		})
	}
	b.clients = append(b.clients, made...)
	return group.Wait()
}

func (b *bareClients) client() *whatsmeow.Client {
	client := whatsmeow.NewClient(b.container.NewDevice(), nil)
	trusted := x509.NewCertPool()
	trusted.AppendCertsFromPEM(wasim.CAPEM())
	dialer := &net.Dialer{Timeout: patience}
	h := &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: trusted, MinVersion: tls.VersionTLS12},
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, network, b.addr)
		},
	}}
	client.SetWebsocketHTTPClient(h)
	client.SetPreLoginHTTPClient(h)
	client.SetMediaHTTPClient(h)
	client.AddEventHandler(func(evt any) {
		if _, ok := evt.(*events.Connected); ok {
			b.connected.Add(1)
		}
	})
	return client
}

// code connects a client and waits for the QR code that it would show.
func (b *bareClients) code(ctx context.Context, client *whatsmeow.Client) (string, error) {
	shown := make(chan string, 1)
	var once sync.Once
	client.AddEventHandler(func(evt any) {
		if qr, ok := evt.(*events.QR); ok && len(qr.Codes) > 0 {
			once.Do(func() { shown <- qr.Codes[0] })
		}
	})
	if err := client.Connect(); err != nil {
		return "", err
	}
	late := time.NewTimer(linkLimit)
	defer late.Stop()
	select {
	case code := <-shown:
		return code, nil
	case <-late.C:
		return "", errors.New("the network sent no code")
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// Linked waits until every client has said that it is connected: it has stored
// its keys and given them to the network then.
func (b *bareClients) Linked(struct{}, *struct{}) error {
	return eventually(b.ctx, "the clients are connected", func() (bool, error) {
		return int(b.connected.Load()) >= len(b.clients), nil
	})
}

// Greet sends a first message to all contacts of every client.
func (b *bareClients) Greet(struct{}, *struct{}) error {
	group, ctx := errgroup.WithContext(b.ctx)
	for i, client := range b.clients {
		group.Go(func() error { return b.round(ctx, client, i) })
	}
	return group.Wait()
}

// round sends one message to each of a client's contacts.
func (b *bareClients) round(ctx context.Context, client *whatsmeow.Client, i int) error {
	for k := range contactsEach {
		to := types.NewJID(contactNumber(k*b.phones+i), types.DefaultUserServer)
		if _, err := client.SendMessage(ctx, to, &waE2E.Message{Conversation: proto.String(messageText())}); err != nil {
			return fmt.Errorf("send to %s: %w", to, err)
		}
	}
	return nil
}

// Start lets every client send in a loop of its own.
func (b *bareClients) Start(struct{}, *struct{}) error { //nolint:unparam // net/rpc wants an error of every method
	ctx, stop := context.WithCancel(b.ctx)
	group, ctx := errgroup.WithContext(ctx)
	b.stop, b.sending = stop, group
	for i, client := range b.clients {
		group.Go(func() error {
			for ctx.Err() == nil {
				if err := b.round(ctx, client, i); err != nil && ctx.Err() == nil {
					return err
				}
			}
			return nil
		})
	}
	return nil
}

// Stop ends the loops. A loop that failed is an error: its messages are missing.
func (b *bareClients) Stop(struct{}, *struct{}) error {
	b.stop()
	return b.sending.Wait()
}

// Weigh returns what the process keeps in memory.
func (b *bareClients) Weigh(_ struct{}, bytes *int64) error { //nolint:unparam // net/rpc wants an error of every method
	*bytes = kept()
	return nil
}

func (b *bareClients) hangUp() {
	for _, client := range b.clients {
		client.Disconnect()
	}
}
