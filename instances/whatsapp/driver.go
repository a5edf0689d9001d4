package whatsapp

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/url"
	"os"
	"time"

	"go.mau.fi/whatsmeow/types"

	"portaria/messaging"
)

// Pairings shows the codes that link a phone to an instance.
type Pairings interface {
	// ShowPairing replaces what the instance shows.
	ShowPairing(ctx context.Context, p messaging.Pairing) error
	HidePairing(ctx context.Context, workspace string, env messaging.Environment, instanceID string) error
}

// MediaStore keeps the bytes of files.
type MediaStore interface {
	OpenMedia(ctx context.Context, workspace string, env messaging.Environment, id string) (messaging.MediaInfo, io.ReadCloser, error)
	KeepInbound(ctx context.Context, workspace string, env messaging.Environment, instanceID, filename, mime string, r io.Reader) (messaging.MediaInfo, error)
}

// Index finds what was recorded earlier.
type Index interface {
	// MessagesByWAID returns the ids of an instance's outbound messages by their
	// WhatsApp ids. What is not there is not in the answer.
	MessagesByWAID(ctx context.Context, workspace string, env messaging.Environment, instanceID string, waIDs []string) (map[string]string, error)
	// Received reports whether an inbound message of an instance is recorded.
	Received(ctx context.Context, workspace string, env messaging.Environment, instanceID, waID string) (bool, error)
	// WroteToUs reports whether a contact has ever written to an instance.
	WroteToUs(ctx context.Context, workspace string, env messaging.Environment, instanceID, waID string) (bool, error)
}

// Options are the parts of a driver.
type Options struct {
	Sessions *Sessions // the linked sessions; OpenSessions
	Reporter messaging.Reporter
	Pairings Pairings
	Index    Index
	Media    MediaStore // nil: files cannot be sent, and inbound ones are recorded without their bytes

	// Settings returns an instance's settings as they are now, a JSON object;
	// nil: as they were when the channel was opened.
	Settings func(messaging.Instance) []byte
	// Endpoint stands in for WhatsApp's servers; nil: WhatsApp itself.
	Endpoint *Endpoint
	// Proxy returns an instance's own proxy (http, https or socks5), or nil; nil:
	// that of HTTPS_PROXY. With an Endpoint, the proxy is asked for its Addr.
	Proxy func(messaging.Instance) (*url.URL, error)
	// DialProxy opens the connections to instances' own proxies; nil: Dial.
	DialProxy func(ctx context.Context, network, addr string) (net.Conn, error)
	// Dial opens the connections; nil: those of net.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)

	TempDir string // where files are encrypted; empty: the system's
	Timing  Timing // zero fields have their defaults
	Logger  *slog.Logger
	Now     func() time.Time
}

// Driver opens the channels of live instances.
type Driver struct {
	o          Options
	log        *slog.Logger
	unrecorded unrecorded
}

var _ messaging.Driver[messaging.LiveInstance] = (*Driver)(nil)

// New returns a driver. Prepare is to be called once before.
func New(o Options) (*Driver, error) {
	if o.Sessions == nil || o.Reporter == nil || o.Pairings == nil || o.Index == nil {
		return nil, errors.New("whatsapp: a driver needs sessions, a reporter, pairings and an index")
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = func() time.Time { return time.Now().UTC() }
	}
	if o.Dial == nil {
		o.Dial = (&net.Dialer{Timeout: dialTimeout, KeepAlive: dialTimeout}).DialContext
	}
	if o.DialProxy == nil {
		o.DialProxy = o.Dial
	}
	if o.TempDir == "" {
		o.TempDir = os.TempDir()
	}
	o.Timing = o.Timing.withDefaults()
	return &Driver{o: o, log: o.Logger}, nil
}

// Name implements messaging.Driver.
func (d *Driver) Name() messaging.DriverName { return messaging.DriverWhatsApp }

// Open implements messaging.Driver. The channel begins at once to do what the
// instance's owner asked for; it waits for nothing here.
func (d *Driver) Open(ctx context.Context, instance messaging.LiveInstance) (messaging.Channel, error) {
	facts := instance.Instance()
	c := newChannel(context.WithoutCancel(ctx), d, facts)
	c.transport = d.newTransport(facts, &c.lines)
	c.begin()
	return c, nil
}

// Forget deletes the session of an instance that is gone and has no channel any
// more, whether or not WhatsApp was told.
func (d *Driver) Forget(ctx context.Context, instance messaging.LiveInstance) error {
	jid, err := types.ParseJID(instance.Instance().LinkedID)
	if err != nil || jid.IsEmpty() {
		return nil //nolint:nilerr // an id that is none names no session
	}
	return d.o.Sessions.forget(ctx, jid)
}
