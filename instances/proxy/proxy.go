// Package proxy keeps settings.proxy_url: the proxy through which a live
// instance reaches its network.
//
// The URL may hold a password, and is a way into whatever network the server
// stands in. So it is sealed before it is stored, and lies in the settings as a
// sealed text wherever these go: rows, events, memory. It is opened for two
// readers only, the driver that dials it (Of) and owners, who are shown it with
// *** in place of its password (Shown). Where it leads is judged when an owner
// sends it (Admit) and again at every dial (Dial).
package proxy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"portaria/internal/fault"
	"portaria/internal/guard"
	"portaria/internal/seal"
	"portaria/messaging"
)

// member is the name of the URL in an instance's settings, and field its name
// in requests.
const (
	member = "proxy_url"
	field  = "settings." + member
)

const (
	// dialTimeout bounds the dial of a proxy.
	dialTimeout = 10 * time.Second
	// lookPatience bounds the question where a proxy's name leads.
	lookPatience = 3 * time.Second
)

// ErrNotAllowed is the fault of a proxy that does not stand in the public
// network, nor where the operator allows.
var ErrNotAllowed = fault.New(fault.Invalid, "URL_NOT_ALLOWED", "This proxy may not be used: its host has to have a public address.")

// ErrUnreadable is the fault of a stored proxy that cannot be opened.
var ErrUnreadable = fault.New(fault.Unavailable, "PROXY_UNREADABLE",
	"The instance's proxy cannot be read: it was stored with another secret key. Set PORTARIA_SECRET_KEY to that one, or set proxy_url again.")

// Options are what a book is made of.
type Options struct {
	// Key is the installation's secret key. Nil: proxies are neither taken nor
	// read, and shown as ***.
	Key []byte
	// Allow lists addresses where proxies may stand though they are not public.
	Allow []netip.Prefix
}

// Book keeps the proxies of instances. It is safe for concurrent use. The zero
// Book has no key.
type Book struct {
	box    *seal.Box
	guard  *guard.Guard
	dialer *net.Dialer
}

// New returns a book. It fails when the key is not one.
func New(o Options) (*Book, error) {
	g := guard.New(o.Allow)
	b := &Book{guard: g, dialer: g.Dialer(dialTimeout)}
	if o.Key == nil {
		return b, nil
	}
	box, err := seal.New(o.Key)
	if err != nil {
		return nil, err
	}
	b.box = box
	return b, nil
}

// Admit judges the proxy of settings that an owner sends, before anything is
// stored. A test instance never dials, so for it no resolver is asked either.
// Faults: fault.ErrValidation, ErrNotAllowed, fault.ErrUnavailable without a key.
func (b *Book) Admit(ctx context.Context, env messaging.Environment, sent []byte) error {
	text, ok, err := sentURL(sent)
	if err != nil || !ok || text == hidden {
		return err
	}
	if b.box == nil {
		return fault.ErrUnavailable.Because(errors.New("proxies cannot be kept without a secret key"))
	}
	u, err := parse(text)
	if err != nil {
		return refused(err)
	}
	if env == messaging.Test {
		if !b.guard.Permits(u.Hostname()) {
			return ErrNotAllowed
		}
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, lookPatience)
	defer cancel()
	if !b.guard.Leads(ctx, u.Hostname()) {
		return ErrNotAllowed
	}
	return nil
}

// Keep returns the settings that an owner sends with their proxy sealed for the
// instance, fit to be merged into what the instance has. What is shown of the
// proxy that the instance has stands for that proxy. Fault: fault.ErrValidation.
func (b *Book) Keep(i *messaging.Instance, sent []byte) ([]byte, error) {
	text, ok, err := sentURL(sent)
	if err != nil || !ok {
		return sent, err
	}
	sealed, err := b.keep(i, text)
	if err != nil {
		return nil, err
	}
	return with(sent, sealed)
}

func (b *Book) keep(i *messaging.Instance, text string) (sealed string, err error) {
	stored := Stored(i.Settings)
	known, failed := b.open(i, stored)
	if stored != "" && failed != nil && text == hidden {
		return stored, nil
	}
	u, err := parse(text)
	if err != nil {
		return "", refused(err)
	}
	if stored != "" && failed == nil && (u.String() == known.String() || shown(u) == shown(known) && isHidden(u)) {
		return stored, nil
	}
	if isHidden(u) {
		return "", refused(errHidden)
	}
	if b.box == nil {
		return "", fault.ErrUnavailable
	}
	return b.box.Seal([]byte(u.String()), place(i)...), nil
}

// Of returns the proxy of an instance; nil when it has none. Fault:
// ErrUnreadable.
func (b *Book) Of(i messaging.Instance) (*url.URL, error) {
	stored := Stored(i.Settings)
	if stored == "" {
		return nil, nil //nolint:nilnil // as the transport of HTTP wants to be told
	}
	u, err := b.open(&i, stored)
	if err != nil {
		return nil, ErrUnreadable.Because(err)
	}
	return u, nil
}

// Shown returns the settings of an instance as owners may see them.
func (b *Book) Shown(i messaging.Instance) []byte {
	stored := Stored(i.Settings)
	if stored == "" {
		return i.Settings
	}
	text := hidden
	if u, err := b.open(&i, stored); err == nil {
		text = shown(u)
	}
	settings, err := with(i.Settings, text)
	if err != nil { // it has been read a moment ago
		return nil
	}
	return settings
}

// Dial connects to a proxy. An address that is not permitted is not dialled,
// whatever name it was given by.
func (b *Book) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	return b.dialer.DialContext(ctx, network, addr)
}

func (b *Book) open(i *messaging.Instance, stored string) (*url.URL, error) {
	if b.box == nil {
		return nil, errors.New("there is no secret key")
	}
	text, err := b.box.Open(stored, place(i)...)
	if err != nil {
		return nil, err
	}
	return parse(string(text))
}

// place is where an instance's proxy is sealed for.
func place(i *messaging.Instance) []string {
	return []string{field, i.WorkspaceID, string(i.Environment), i.ID}
}

// Stored returns the sealed proxy of an instance's settings; empty when there is
// none. Two that differ are, to the best of one's knowledge, two proxies.
func Stored(settings []byte) string {
	// What Keep wrote names it like this; most instances have none.
	if !bytes.Contains(settings, []byte(`"`+member+`"`)) {
		return ""
	}
	var s struct {
		URL string `json:"proxy_url"`
	}
	if json.Unmarshal(settings, &s) != nil {
		return ""
	}
	return s.URL
}

// sentURL returns the URL of settings that an owner sends; false when they say
// nothing of it, or take it away.
func sentURL(sent []byte) (text string, ok bool, err error) {
	if len(sent) == 0 {
		return "", false, nil
	}
	var members map[string]jsontext.Value
	if json.Unmarshal(sent, &members) != nil {
		var fields fault.Fields
		fields.Add("settings", "type", "must be a JSON object")
		return "", false, fields.Err()
	}
	value, ok := members[member]
	if !ok || value.Kind() == 'n' {
		return "", false, nil
	}
	if json.Unmarshal(value, &text) != nil {
		return "", false, refused(errNoText)
	}
	return text, true, nil
}

// with returns settings with another text for their URL.
func with(settings []byte, text string) ([]byte, error) {
	var members map[string]jsontext.Value
	if err := json.Unmarshal(settings, &members); err != nil {
		return nil, fmt.Errorf("settings: %w", err)
	}
	value, err := json.Marshal(text)
	if err != nil {
		return nil, fmt.Errorf("settings: %w", err)
	}
	members[member] = value
	return json.Marshal(members, json.Deterministic(true))
}

func refused(why error) error {
	var fields fault.Fields
	fields.Add(field, "format", why.Error())
	return fields.Err()
}
