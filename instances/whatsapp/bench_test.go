package whatsapp_test

import (
	"context"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net/http"
	"testing"
	"time"

	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/proto/waE2E"
	"go.mau.fi/whatsmeow/store/sqlstore"
	"go.mau.fi/whatsmeow/types"
	"google.golang.org/protobuf/proto"

	"portaria/instances/whatsapp"
	"portaria/messaging"
	"portaria/store"
	"portaria/wasim"
)

// BenchmarkSend measures one instance to one contact, at several round trips:
// our channel in batches as a lane gives them, and whatsmeow alone in a loop on
// the same database, which is the ceiling.
func BenchmarkSend(b *testing.B) {
	for _, roundTrip := range []time.Duration{0, 80 * time.Millisecond} {
		b.Run(fmt.Sprint(roundTrip, "/channel"), func(b *testing.B) { benchChannel(b, roundTrip) })
		b.Run(fmt.Sprint(roundTrip, "/whatsmeow"), func(b *testing.B) { benchBare(b, roundTrip) })
	}
}

// bench is a linked instance on a simulated network.
type bench struct {
	sim      *wasim.Server
	driver   *whatsapp.Driver
	journal  *journal
	facts    messaging.Instance
	channel  messaging.Channel
	sessions store.Options
}

func newBench(b *testing.B) *bench {
	b.Helper()
	sim, err := wasim.Start(wasim.Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { sim.Close() })
	m := &bench{sim: sim, journal: newJournal(), sessions: store.Options{DataDir: b.TempDir()}}
	db, dialect, err := store.OpenWhatsApp(b.Context(), m.sessions)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { db.Close() })
	sessions, err := whatsapp.OpenSessions(b.Context(), db, dialect, nil)
	if err != nil {
		b.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(wasim.CAPEM())
	shown := &board{}
	m.driver, err = whatsapp.New(whatsapp.Options{
		Sessions: sessions, Reporter: m.journal, Pairings: shown, Index: m.journal,
		Endpoint: &whatsapp.Endpoint{Addr: sim.Addr(), CA: pool}, TempDir: b.TempDir(),
	})
	if err != nil {
		b.Fatal(err)
	}
	w := &world{sim: sim}
	m.facts = w.instance().facts
	m.facts.Ask, m.facts.AskedAt = messaging.AskConnect, time.Now()
	live, _ := m.facts.Live()
	if m.channel, err = m.driver.Open(b.Context(), live); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { m.channel.Close() })
	m.until(b, func() bool { return shown.showing()[m.facts.ID].QR != "" })
	if err := sim.Phone(ours).ScanQR(b.Context(), shown.showing()[m.facts.ID].QR); err != nil {
		b.Fatal(err)
	}
	m.until(b, func() bool { m.journal.follow(&m.facts); return m.facts.State == messaging.InstanceConnected })
	return m
}

func (m *bench) until(b *testing.B, holds func() bool) {
	b.Helper()
	for deadline := time.Now().Add(patience); !holds(); pauseFor(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			b.Fatal("did not happen")
		}
	}
}

func benchChannel(b *testing.B, roundTrip time.Duration) {
	m := newBench(b)
	p := &phone{w: &world{journal: m.journal}, facts: m.facts}
	m.channel.Send(b.Context(), []messaging.Outgoing{p.text(ana, "first")})
	m.sim.SetRoundTrip(roundTrip)
	for sent := 0; b.Loop(); {
		if sent > 0 { // the rest of a batch that was counted already
			sent--
			continue
		}
		batch := make([]messaging.Outgoing, m.channel.Window())
		for i := range batch {
			batch[i] = p.text(ana, "x")
		}
		for _, o := range m.channel.Send(context.Background(), batch) {
			if o.Verdict != messaging.Accepted {
				b.Fatalf("%+v", o)
			}
		}
		sent = len(batch) - 1
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
}

func benchBare(b *testing.B, roundTrip time.Duration) {
	m := newBench(b)
	if err := m.channel.Close(); err != nil {
		b.Fatal(err)
	}
	db, dialect, err := store.OpenWhatsApp(b.Context(), m.sessions)
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	jid, err := types.ParseJID(m.facts.LinkedID)
	if err != nil {
		b.Fatal(err)
	}
	device, err := sqlstore.NewWithDB(db, dialect, nil).GetDevice(b.Context(), jid)
	if err != nil || device == nil {
		b.Fatal(device, err)
	}
	client := whatsmeow.NewClient(device, nil)
	for _, set := range []func(*http.Client){client.SetWebsocketHTTPClient, client.SetMediaHTTPClient} {
		set(m.sim.HTTPClient())
	}
	if err := client.Connect(); err != nil {
		b.Fatal(err)
	}
	defer client.Disconnect()
	if !client.WaitForConnection(patience) {
		b.Fatal("not connected")
	}
	send := func() {
		if _, err := client.SendMessage(b.Context(), types.NewJID(ana, types.DefaultUserServer), &waE2E.Message{Conversation: proto.String("x")}); err != nil {
			b.Fatal(err)
		}
	}
	send()
	m.sim.SetRoundTrip(roundTrip)
	for b.Loop() {
		send()
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
}
