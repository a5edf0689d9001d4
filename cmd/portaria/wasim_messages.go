package main

import (
	"context"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"portaria/wasim"
)

// wasimInboundCmd is a contact who writes.
type wasimInboundCmd struct {
	wasimControl

	From     string   `required:"" help:"Number of the contact." placeholder:"NUMBER"`
	To       string   `required:"" help:"Number that a client is linked to." placeholder:"NUMBER"`
	Text     string   `xor:"content" required:"" help:"What the contact writes." placeholder:"TEXT"`
	File     string   `xor:"content" required:"" help:"A file that the contact sends, at most 32 MiB." type:"existingfile" placeholder:"FILE"`
	Location string   `xor:"content" required:"" help:"A place: latitude and longitude, in degrees." placeholder:"LAT,LONG"`
	Card     []string `xor:"content" required:"" help:"A file with a vCard; may be repeated." type:"existingfile" placeholder:"FILE" sep:"none"`
	Poll     string   `xor:"content" required:"" help:"The question of a poll." placeholder:"QUESTION"`

	Option   []string `help:"With --poll: one of its answers; repeated." placeholder:"TEXT" sep:"none"`
	Multiple bool     `help:"With --poll: more than one may be chosen."`

	Kind    string `help:"With --file: what it is sent as; by default, what its name says." enum:"image,video,audio,ptt,document,sticker," default:"" placeholder:"KIND"`
	MIME    string `name:"mime-type" help:"With --file: its type; by default, what its name says." placeholder:"TYPE"`
	Caption string `help:"With --file: words below an image, a video or a document." placeholder:"TEXT"`
	ReplyTo string `help:"With --text: id of the WhatsApp message that it answers." placeholder:"ID"`
}

// Help implements kong.HelpProvider.
func (wasimInboundCmd) Help() string {
	return `Prints the WhatsApp id of the message. A client that is offline gets it at its next login.

  portaria wasim inbound --from 5511912345678 --to 5511987654321 --text 'Is it there yet?'
  portaria wasim inbound --from 5511912345678 --to 5511987654321 --file photo.jpg --caption 'Look'
  portaria wasim inbound --from 5511912345678 --to 5511987654321 --file note.ogg --kind ptt
  portaria wasim inbound --from 5511912345678 --to 5511987654321 --location=-23.5614,-46.6559
  portaria wasim inbound --from 5511912345678 --to 5511987654321 --card ana.vcf
  portaria wasim inbound --from 5511912345678 --to 5511987654321 --poll 'When?' --option Today --option Tomorrow`
}

// wasimFileLimit is what the control port takes.
const wasimFileLimit = 32 << 20

// Run implements the command.
func (cmd *wasimInboundCmd) Run(ctx context.Context, c *Config, io streams) error {
	body := map[string]any{"from": cmd.From, "to": cmd.To}
	if err := cmd.addContent(body); err != nil {
		return err
	}
	var sent struct {
		ID string `json:"id"`
	}
	if err := cmd.ask(ctx, http.MethodPost, "/inbound", body, &sent); err != nil {
		return err
	}
	if c.JSON {
		return printJSON(io, sent)
	}
	fmt.Fprintln(io.out, sent.ID)
	return nil
}

func (cmd *wasimInboundCmd) addFile(body map[string]any) error {
	info, err := os.Stat(cmd.File)
	if err != nil || info.Size() > wasimFileLimit {
		return usageError("--file: must be a file of at most 32 MiB")
	}
	data, err := os.ReadFile(cmd.File)
	if err != nil {
		return usageError("--file: must be a file that can be read")
	}
	kind, mimeType := cmd.Kind, cmd.MIME
	if mimeType == "" {
		mimeType, _, _ = strings.Cut(mime.TypeByExtension(filepath.Ext(cmd.File)), ";")
	}
	if kind == "" {
		kind = "document"
		if family, _, _ := strings.Cut(mimeType, "/"); family == "image" || family == "video" || family == "audio" {
			kind = family
		}
	}
	body["kind"], body["mime_type"], body["caption"], body["data"] = kind, mimeType, cmd.Caption, data
	return nil
}

// wasimMessagesCmd lists what contacts have.
type wasimMessagesCmd struct {
	wasimControl

	To    string `help:"Only what this contact has received." placeholder:"NUMBER"`
	From  string `help:"Only what was sent from this number." placeholder:"NUMBER"`
	Limit int    `default:"50" help:"At most so many of the newest." placeholder:"N"`
}

// Help implements kong.HelpProvider.
func (wasimMessagesCmd) Help() string {
	return `What simulated contacts have decrypted with their own keys, in the order of arrival, each message once. Copies counts
frames that came again, retries how often the contact had to ask for the message anew.

  portaria wasim messages
  portaria wasim messages --to 5511912345678 --json`
}

// wasimMessage is a message as the control port lists it.
type wasimMessage struct {
	ID     string `json:"id"`
	From   string `json:"from"`
	Device uint16 `json:"device"`
	To     string `json:"to"`
	Group  string `json:"group,omitzero"`
	Kind   string `json:"kind"`
	Text   string `json:"text,omitzero"`
	MIME   string `json:"mime_type,omitzero"`
	Size   uint64 `json:"size,omitzero"`
	File   string `json:"filename,omitzero"`

	Location *wasim.Place `json:"location,omitzero"`
	Cards    []string     `json:"cards,omitzero"` // vCards
	Poll     *wasim.Poll  `json:"poll,omitzero"`

	About   string    `json:"about,omitzero"`
	At      time.Time `json:"at"`
	Order   uint64    `json:"order"`
	Retries int       `json:"retries"`
	Copies  int       `json:"copies"`
}

// Run implements the command.
func (cmd *wasimMessagesCmd) Run(ctx context.Context, c *Config, io streams) error {
	if cmd.Limit < 1 {
		return usageError("--limit: must be at least 1")
	}
	query := url.Values{"limit": {strconv.Itoa(cmd.Limit)}}
	if cmd.To != "" {
		query.Set("to", cmd.To)
	}
	if cmd.From != "" {
		query.Set("from", cmd.From)
	}
	messages := []wasimMessage{}
	if err := cmd.ask(ctx, http.MethodGet, "/messages?"+query.Encode(), nil, &messages); err != nil {
		return err
	}
	if c.JSON {
		return printJSON(io, messages)
	}
	rows := [][]string{{"AT", "FROM", "TO", "KIND", "TEXT", "ID"}}
	for _, m := range messages {
		rows = append(rows, []string{m.At.UTC().Format(timeLayout), m.From, m.To, m.Kind, orDash(oneLine(m.Text)), oneLine(m.ID)})
	}
	return table(io.out, rows)
}

// oneLine makes a stranger's text fit a line of a terminal.
func oneLine(text string) string {
	const longest = 60
	shown := []rune(strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, text))
	if len(shown) > longest {
		return string(shown[:longest-1]) + "…"
	}
	return string(shown)
}
