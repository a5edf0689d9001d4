// Package pairlink keeps pairing links: one-time pages on which the owner of a
// phone links it to an instance without an API key.
//
// A link opens one instance and nothing of it but its name and its pairing. It
// has a token of 128 bits that is stored as a hash, ends by itself, and is used
// up by the first phone that is linked to its instance. A link may ask for a PIN
// of six digits; the fifth wrong one ends it.
//
// What the page looks like, and how a pairing is begun, is for others (gateway).
package pairlink

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"log/slog"
	"time"

	"portaria/internal/fault"
	"portaria/messaging"
)

// How long a link lives.
const (
	DefaultLife = 15 * time.Minute
	MaxLife     = 24 * time.Hour
	MinLife     = time.Minute
)

// MaxWrongPINs is how many wrong PINs end a link.
const MaxWrongPINs = 5

// The faults of opening a link. One that never was is fault.ErrNotFound.
var (
	ErrExpired = fault.New(fault.NotFound, "PAIRING_LINK_EXPIRED", "This link has expired; ask for a new one.")
	ErrUsed    = fault.New(fault.NotFound, "PAIRING_LINK_USED", "A phone has been linked with this link; it cannot be used again.")
	ErrBlocked = fault.New(fault.NotFound, "PAIRING_LINK_BLOCKED",
		"This link was ended by too many wrong PINs; ask for a new one.")
	ErrPINRequired = fault.New(fault.Forbidden, "PAIRING_PIN_REQUIRED", "This link asks for its PIN.")
	ErrPINWrong    = fault.New(fault.Forbidden, "PAIRING_PIN_WRONG", "The PIN is wrong.")
)

// Link is a pairing link as it is stored: without its token and its PIN.
type Link struct {
	TokenHash  string            // SHA-256 of the token, in hex
	Tenancy    messaging.Tenancy // opens the link's instance alone
	InstanceID string
	Salt       string // random, in hex; known to nobody but the database
	PINHash    string // empty: the link asks for no PIN
	WrongPINs  int
	CreatedAt  time.Time
	ExpiresAt  time.Time
	UsedAt     time.Time // zero while nobody has been linked
}

// AsksPIN reports whether a PIN is needed to open the link.
func (l *Link) AsksPIN() bool { return l.PINHash != "" }

// LogValue implements slog.LogValuer: hashes stay out of logs too.
func (l *Link) LogValue() slog.Value { return slog.StringValue("pairing link of " + l.InstanceID) }

// Token is the secret in a link's address. It shows itself to nobody but who
// asks with Reveal.
type Token struct{ text string }

// Reveal returns the token's text.
func (t Token) Reveal() string { return t.text }

// String implements fmt.Stringer without telling.
func (Token) String() string { return "(token of a pairing link)" }

// LogValue implements slog.LogValuer.
func (t Token) LogValue() slog.Value { return slog.StringValue(t.String()) }

// Store keeps links.
type Store interface {
	// InsertPairingLink stores a link and the claim of the request that made it.
	InsertPairingLink(ctx context.Context, l Link, claim *messaging.Claim) error
	// PairingLink finds a link by the hash of its token; fault.ErrNotFound.
	PairingLink(ctx context.Context, tokenHash string) (Link, error)
	// TryPairingPIN lets right look at a link that has fewer than most wrong
	// PINs and counts a wrong one, with no other try in between. It returns the
	// wrong PINs so far.
	TryPairingPIN(ctx context.Context, tokenHash string, most int, right func(Link) bool) (ok bool, wrong int, err error)
	// UsePairingLinks ends every open link of an instance.
	UsePairingLinks(ctx context.Context, instanceID string, at time.Time) error
}

// Links makes and opens pairing links. It is safe for concurrent use.
type Links struct {
	store Store
	now   func() time.Time
}

// New returns the links of a store. A link runs on the machine's time, in both
// worlds: it is people who have to be quick. A nil now is time.Now.
func New(store Store, now func() time.Time) *Links {
	if now == nil {
		now = time.Now
	}
	return &Links{store: store, now: now}
}

// Draft is a link as its maker asks for it.
type Draft struct {
	Tenancy    messaging.Tenancy
	InstanceID string
	ExpiresIn  time.Duration // zero: DefaultLife
	PIN        string        // six digits; empty: none
	// ClaimFor makes the claim that is stored with the link; nil for none.
	ClaimFor func(Link) (*messaging.Claim, error)
}

// Create makes a link. The token is shown this once.
// Faults: fault.ErrValidation, and those of the claim.
func (l *Links) Create(ctx context.Context, d Draft) (Token, Link, error) {
	if err := d.check(); err != nil {
		return Token{}, Link{}, err
	}
	if d.ExpiresIn == 0 {
		d.ExpiresIn = DefaultLife
	}
	token := Token{rand.Text()}
	now := l.now().UTC().Truncate(time.Microsecond)
	link := Link{
		TokenHash: hashOf(token.text), Tenancy: d.Tenancy, InstanceID: d.InstanceID, Salt: rand.Text(),
		CreatedAt: now, ExpiresAt: now.Add(d.ExpiresIn),
	}
	if d.PIN != "" {
		link.PINHash = link.keyed(token.text, "pin:"+d.PIN)
	}
	var claim *messaging.Claim
	if d.ClaimFor != nil {
		var err error
		if claim, err = d.ClaimFor(link); err != nil {
			return Token{}, Link{}, err
		}
	}
	return token, link, l.store.InsertPairingLink(ctx, link, claim)
}

// check refuses a draft that no link can be made of.
func (d *Draft) check() error {
	var fields fault.Fields
	CheckLife(&fields, d.ExpiresIn)
	CheckPIN(&fields, d.PIN)
	return fields.Err()
}

// CheckLife notes what is wrong with how long a link is to live; zero stands
// for the default.
func CheckLife(fields *fault.Fields, life time.Duration) {
	if life != 0 && (life < MinLife || life > MaxLife) {
		fields.Add("expires_in", "range", "must lie between 1m and 24h")
	}
}

// CheckPIN notes what is wrong with a PIN; an empty one stands for none.
func CheckPIN(fields *fault.Fields, pin string) {
	if pin != "" && !sixDigits(pin) {
		fields.Add("pin", "format", "must be six digits")
	}
}

func sixDigits(pin string) bool {
	for i := range len(pin) {
		if pin[i] < '0' || pin[i] > '9' {
			return false
		}
	}
	return len(pin) == 6
}

// Open finds the link of a token. session is what Unlock returned; links
// without a PIN need none. The link comes with every fault of its own, so that
// who unlocks it need not ask again.
// Faults: fault.ErrNotFound, ErrExpired, ErrUsed, ErrBlocked, ErrPINRequired.
func (l *Links) Open(ctx context.Context, token, session string) (Link, error) {
	link, err := l.open(ctx, token)
	if err != nil {
		return link, err
	}
	if link.AsksPIN() && !same(link.session(token), session) {
		return link, ErrPINRequired
	}
	return link, nil
}

func (l *Links) open(ctx context.Context, token string) (Link, error) {
	link, err := l.store.PairingLink(ctx, hashOf(token))
	switch {
	case err != nil:
		return Link{}, err
	case !link.UsedAt.IsZero():
		return link, ErrUsed
	case !l.now().Before(link.ExpiresAt):
		return link, ErrExpired
	case link.WrongPINs >= MaxWrongPINs:
		return link, ErrBlocked
	default:
		return link, nil
	}
}

// Unlock takes a PIN and returns the session that Open asks for. Wrong PINs are
// counted one after the other, whoever sends them: the fifth ends the link.
// Faults: those of Open, ErrPINWrong with tries_left.
func (l *Links) Unlock(ctx context.Context, token, pin string) (session string, err error) {
	link, err := l.open(ctx, token)
	if err != nil {
		return "", err
	}
	if !link.AsksPIN() {
		return "", nil
	}
	ok, wrong, err := l.store.TryPairingPIN(ctx, link.TokenHash, MaxWrongPINs, func(now Link) bool {
		return same(now.keyed(token, "pin:"+pin), now.PINHash)
	})
	switch {
	case errors.Is(err, fault.ErrNotFound):
		return "", ErrBlocked // others have used up the tries meanwhile
	case err != nil:
		return "", err
	case ok:
		return link.session(token), nil
	case wrong >= MaxWrongPINs:
		return "", ErrBlocked
	default:
		return "", ErrPINWrong.With("tries_left", MaxWrongPINs-wrong)
	}
}

// Use ends every open link of an instance: a phone is linked to it.
func (l *Links) Use(ctx context.Context, instanceID string) error {
	return l.store.UsePairingLinks(ctx, instanceID, l.now().UTC())
}

// session is what the holder of the PIN shows after it. It needs no row of its
// own: nobody can compute it without both the token and the salt.
func (l *Link) session(token string) string { return l.keyed(token, "session:"+l.PINHash) }

// keyed is a hash that tells nothing to who has only the database, for want of
// the token, and nothing to who has only the token, for want of the salt.
func (l *Link) keyed(token, text string) string {
	mac := hmac.New(sha256.New, []byte(l.Salt+"\n"+token))
	mac.Write([]byte(text))
	return hex.EncodeToString(mac.Sum(nil))
}

func hashOf(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

// same compares in constant time.
func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }
