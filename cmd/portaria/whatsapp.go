package main

import (
	"context"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"

	"portaria/instances/whatsapp"
	"portaria/internal/fault"
	"portaria/messaging"
	"portaria/store"
)

// standIn are the settings that put another server in WhatsApp's place, for
// rehearsals.
type standIn struct {
	Addr    string `help:"Server that stands in for WhatsApp, for rehearsals: dialled for every host." env:"PORTARIA_WHATSAPP_ADDR" placeholder:"HOST:PORT"`
	CA      string `name:"ca" help:"File with the certificate, in PEM, that the stand-in proves its names by." env:"PORTARIA_WHATSAPP_CA" placeholder:"FILE"`
	RootKey string `help:"Key that the stand-in is known by, 64 hex digits." env:"PORTARIA_WHATSAPP_ROOT_KEY" placeholder:"HEX"`
}

// prepare sets up whatsmeow for the process. It returns where the stand-in is;
// nil when there is none.
func (s *standIn) prepare(log *slog.Logger) (*whatsapp.Endpoint, error) {
	if s.Addr == "" && s.CA == "" && s.RootKey == "" {
		whatsapp.Prepare(whatsapp.Process{Logger: log})
		return nil, nil //nolint:nilnil // WhatsApp itself needs no description
	}
	if s.Addr == "" || s.CA == "" || s.RootKey == "" {
		return nil, usageError("--whatsapp-addr, --whatsapp-ca and --whatsapp-root-key: give all three or none")
	}
	text, err := os.ReadFile(s.CA)
	if err != nil {
		return nil, fault.Fields{{Field: "PORTARIA_WHATSAPP_CA", Rule: "format", Message: "must be a file that can be read"}}.Err()
	}
	endpoint := &whatsapp.Endpoint{Addr: s.Addr, CA: x509.NewCertPool()}
	if !endpoint.CA.AppendCertsFromPEM(text) {
		return nil, fault.Fields{{Field: "PORTARIA_WHATSAPP_CA", Rule: "format", Message: "must be a file with certificates in PEM"}}.Err()
	}
	var key [32]byte
	if n, err := hex.Decode(key[:], []byte(s.RootKey[:min(len(s.RootKey), 2*len(key))])); err != nil || n != len(key) || len(s.RootKey) != 2*len(key) {
		return nil, fault.Fields{{Field: "PORTARIA_WHATSAPP_ROOT_KEY", Rule: "format", Message: "must be 64 hex digits"}}.Err()
	}
	log.Warn("another server stands in for WhatsApp: no message reaches a real phone", "address", s.Addr)
	whatsapp.Prepare(whatsapp.Process{RootKey: &key, Logger: log})
	return endpoint, nil
}

// sessions are the linked sessions and the database that they are in.
type sessions struct {
	*whatsapp.Sessions
	db       io.Closer
	endpoint *whatsapp.Endpoint

	// For tests; their zero values are whatsapp's own.
	timing whatsapp.Timing
	dial   func(ctx context.Context, network, addr string) (net.Conn, error)
}

// Close closes the database. It may be called on nil.
func (s *sessions) Close() error {
	if s == nil {
		return nil
	}
	return s.db.Close()
}

// openSessions opens the database of linked sessions.
func (c *Config) openSessions(ctx context.Context, log *slog.Logger) (*sessions, error) {
	url, err := c.databaseURL()
	if err != nil {
		return nil, err
	}
	db, dialect, err := store.OpenWhatsApp(ctx, store.Options{DatabaseURL: url, DataDir: c.DataDir, Logger: log})
	if err != nil {
		return nil, err
	}
	s, err := whatsapp.OpenSessions(ctx, db, dialect, log)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return &sessions{Sessions: s, db: db}, nil
}

// liveDriver returns the driver of live instances; nil without sessions.
func (a *app) liveDriver(o appOptions) (messaging.Driver[messaging.LiveInstance], error) {
	if o.whatsapp == nil {
		return nil, nil //nolint:nilnil // the manager knows what no driver means
	}
	return whatsapp.New(whatsapp.Options{
		Sessions: o.whatsapp.Sessions, Endpoint: o.whatsapp.endpoint,
		Reporter: a.store, Pairings: a.store, Index: a.store, Media: a.media, Logger: o.log,
		Settings: a.settingsOf, Proxy: a.proxies.Of, DialProxy: a.proxies.Dial, Timing: o.whatsapp.timing, Dial: o.whatsapp.dial,
	})
}

// settingsOf returns an instance's settings as they are now: a patch does not
// open its channel anew.
func (a *app) settingsOf(i messaging.Instance) []byte {
	now, err := a.manager.Resolve(context.Background(), messaging.NewTenancy(i.WorkspaceID, i.Environment, messaging.AllInstances()), i.ID)
	if err != nil {
		return i.Settings // it is going away
	}
	return now.Settings
}
