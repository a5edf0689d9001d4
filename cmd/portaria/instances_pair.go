package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"math/big"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"portaria/gateway"
	"portaria/instances"
	"portaria/instances/pairlink"
	"portaria/internal/fault"
	"portaria/internal/qrcode"
	"portaria/messaging"
	"portaria/outbox"
	"portaria/store"
)

// instancesPairCmd links a phone to an instance.
type instancesPairCmd struct {
	instanceRef

	Phone     string    `xor:"how" help:"Pair by a code that is typed on the phone with this number, instead of a QR." placeholder:"NUMBER"`
	Link      bool      `xor:"how" help:"Make a one-time page for the phone's owner instead, and come back at once."`
	PIN       bool      `name:"pin" help:"With --link: draw a PIN of six digits that the page asks for."`
	Expires   *duration `help:"With --link: how long it works, 1m to 24h (default: 15m)." placeholder:"DURATION"`
	PublicURL string    `help:"With --link, and for test instances: address under which people reach the server." default:"http://127.0.0.1:8080" env:"PORTARIA_PUBLIC_URL,PORTARIA_URL" placeholder:"URL"`
}

// Help implements kong.HelpProvider.
func (instancesPairCmd) Help() string {
	return `The server that runs on this database does the pairing; the command shows its codes and follows it until the phone is
linked. On the phone: WhatsApp, Linked devices, Link a device.

  portaria instances pair shop
  portaria instances pair shop --phone +5511912345678
  portaria instances pair shop --link --pin --expires 1h`
}

// Run implements the command.
func (cmd *instancesPairCmd) Run(ctx context.Context, c *Config, io streams) error {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	if cmd.Link {
		return cmd.makeLink(ctx, c, io)
	}
	if cmd.PIN || cmd.Expires != nil {
		return usageError("--pin and --expires: only with --link")
	}
	digits := ""
	if cmd.Phone != "" {
		address, err := outbox.ParseRecipient(cmd.Phone)
		if err != nil || address.Phone() == "" {
			return usageError("--phone: must be a phone number in international form, as +5511912345678")
		}
		digits = address.Phone()
	}
	base, err := serverURL("--public-url", cmd.PublicURL)
	if err != nil {
		return err
	}
	return cmd.withManager(ctx, c, io, func(s *store.Store, m *instances.Manager, t messaging.Tenancy, i messaging.Instance) error {
		i, err := m.Connect(ctx, t, i.ID, digits)
		if err != nil {
			return err
		}
		p := pairing{store: s, instance: i, phone: digits, base: base, screen: newScreen(io, c.JSON)}
		if err := p.follow(ctx); err != nil {
			return err
		}
		return printInstance(c, io, "Connected", p.instance)
	})
}

// pairingLife is longer than any pairing lasts; then the network has long given
// up.
const pairingLife = 4 * time.Minute

// errPairingEnded is the fault of a pairing that ended without a phone.
var errPairingEnded = fault.New(fault.Conflict, "PAIRING_ENDED", "The pairing ended without a phone.")

// pairing follows a pairing that a server does.
type pairing struct {
	store    *store.Store
	instance messaging.Instance
	phone    string // empty: by QR
	base     string // address of the server, for links
	screen   *screen
	begun    bool // a server has taken it up
}

// follow shows every code until the instance is connected.
// Faults: errNobodyActs, errPairingEnded.
func (p *pairing) follow(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, pairingLife)
	defer cancel()
	asked := time.Now()
	err := look(ctx, func() (done bool, err error) {
		if done, err = p.step(ctx); done || err != nil {
			return done, err
		}
		if !p.begun && time.Since(asked) > takenUpWithin {
			return true, errNobodyActs
		}
		return false, nil
	})
	switch {
	case errors.Is(err, context.Canceled):
		return toldError("interrupted; the pairing goes on in the server until it times out")
	case errors.Is(err, context.DeadlineExceeded):
		return errPairingEnded
	default:
		return err
	}
}

// step looks once.
func (p *pairing) step(ctx context.Context) (done bool, err error) {
	i, err := p.store.FindInstance(ctx, p.instance.WorkspaceID, p.instance.Environment, p.instance.ID)
	if err != nil {
		return false, err
	}
	p.instance = i
	switch {
	case i.State == messaging.InstanceConnected:
		return true, nil
	case i.State == messaging.InstancePairing:
		p.begun = true
		return false, p.show(ctx)
	case i.State == messaging.InstanceConnecting:
		p.begun = true
		return false, nil
	case i.Ask == messaging.AskNothing: // it was taken up, and is over
		sentence := instances.Sentence(i.StateReason)
		if sentence == "" {
			sentence = fmt.Sprintf("The instance is %s.", i.State)
		}
		return true, errPairingEnded.Saying("The pairing ended without a phone. "+sentence).With("state_reason", i.StateReason)
	default:
		return false, nil
	}
}

// show puts the present code on the screen, if it is another one than before.
func (p *pairing) show(ctx context.Context) error {
	code, err := p.store.FindPairing(ctx, p.instance.WorkspaceID, p.instance.Environment, p.instance.ID)
	switch {
	case errors.Is(err, instances.ErrNotPairing):
		return nil
	case err != nil:
		return err
	case p.phone != "" && code.Code != "":
		return p.screen.show(p.typed(code.Code))
	case p.phone == "" && code.QR != "":
		shown, below := p.scanned(code.QR)
		drawn, err := qrcode.New(shown)
		if err != nil {
			return err
		}
		return p.screen.show(p.screen.bright(drawn.Blocks()) + below)
	default:
		return nil
	}
}

// screen shows one text at a time: on a terminal in the place of the one
// before, elsewhere below it.
type screen struct {
	out      io.Writer
	terminal bool
	shown    string
}

// newScreen shows codes on standard output, or beside it when that is for one
// JSON document.
func newScreen(io streams, asJSON bool) *screen {
	s := &screen{out: io.out}
	if asJSON {
		s.out = io.err
	}
	if f, ok := s.out.(*os.File); ok {
		s.terminal = isTerminal(f)
	}
	return s
}

// isTerminal reports whether somebody may be looking at a file.
func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// bright makes a drawing white on black whatever the terminal's colours are.
func (s *screen) bright(drawing string) string {
	if !s.terminal {
		return drawing
	}
	var out strings.Builder
	for line := range strings.Lines(drawing) {
		out.WriteString("\x1b[97;40m" + strings.TrimSuffix(line, "\n") + "\x1b[0m\n")
	}
	return out.String()
}

func (s *screen) show(text string) error {
	if text == s.shown {
		return nil
	}
	if s.terminal && s.shown != "" {
		fmt.Fprintf(s.out, "\x1b[%dA\x1b[J", strings.Count(s.shown, "\n"))
	}
	s.shown = text
	_, err := io.WriteString(s.out, text)
	return err
}

// pairingLinkView is a new link as the command prints it.
type pairingLinkView struct {
	InstanceID string   `json:"instance_id"`
	URL        string   `json:"url"`
	ExpiresAt  instant  `json:"expires_at"`
	AsksPIN    bool     `json:"asks_pin"`
	PIN        nullable `json:"pin"`
}

// makeLink makes a one-time page. It needs no server until somebody opens it.
func (cmd *instancesPairCmd) makeLink(ctx context.Context, c *Config, io streams) error {
	base, err := serverURL("--public-url", cmd.PublicURL)
	if err != nil {
		return err
	}
	return cmd.with(ctx, c, io, func(s *store.Store, t messaging.Tenancy, i messaging.Instance) error {
		if i.Linked() {
			return instances.ErrNotPairing.Saying("A phone is linked already: connect the instance, or log it out to link another one.")
		}
		draft := pairlink.Draft{Tenancy: t, InstanceID: i.ID}
		if cmd.Expires != nil {
			draft.ExpiresIn = time.Duration(*cmd.Expires)
		}
		if cmd.PIN {
			if draft.PIN, err = drawPIN(); err != nil {
				return err
			}
		}
		token, link, err := pairlink.New(s, nil).Create(ctx, draft)
		if err != nil {
			return asFlags(err)
		}
		return printLink(c, io, pairingLinkView{
			InstanceID: i.ID, URL: base + gateway.PairPath + token.Reveal(), ExpiresAt: instant(link.ExpiresAt),
			AsksPIN: link.AsksPIN(), PIN: nullable(draft.PIN),
		})
	})
}

// drawPIN draws six digits.
func drawPIN() (string, error) {
	n, err := rand.Int(rand.Reader, big.NewInt(1_000_000))
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%06d", n), nil
}

func printLink(c *Config, io streams, v pairingLinkView) error {
	if c.JSON {
		return printJSON(io, v)
	}
	fmt.Fprintf(io.out, "%s\n\nFor the phone's owner; it works once, until %s, and is not shown again.\n", v.URL, v.ExpiresAt)
	if v.AsksPIN {
		fmt.Fprintf(io.out, "PIN: %s (tell it another way than the link)\n", v.PIN)
	}
	return nil
}
