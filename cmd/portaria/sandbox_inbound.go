package main

import (
	"context"
	"encoding/base64"
	"fmt"
	"mime"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"portaria/messaging"
)

// sandboxInboundCmd is a contact who writes.
type sandboxInboundCmd struct {
	sandboxInstance

	From    string `help:"Number of the contact." placeholder:"NUMBER"`
	Text    string `xor:"content" required:"" help:"What the contact writes." placeholder:"TEXT"`
	File    string `xor:"content" required:"" help:"A file that the contact sends, at most 16 MiB." type:"existingfile" placeholder:"FILE"`
	Message string `xor:"content" required:"" help:"The body of the request, of any kind, as JSON or @FILE." placeholder:"JSON"`
	Kind    string `enum:"image,video,audio,document,sticker," default:"" help:"With --file: what it is sent as (default: what its name says)." placeholder:"KIND"`
	Caption string `help:"With --file: words below an image, a video or a document." placeholder:"TEXT"`
	ReplyTo string `help:"The message that it answers: msg_…, or WhatsApp's id." placeholder:"ID"`
}

// Help implements kong.HelpProvider.
func (sandboxInboundCmd) Help() string {
	return `The message is received when the command ends, and its event is on its way. --message takes all that
POST /v1/sandbox/instances/{instance}/inbound does: places, reactions, edits, revokes, calls.

  portaria sandbox inbound shop --from +5511912345678 --text 'Where is my order?'
  portaria sandbox inbound shop --from +5511912345678 --file photo.jpg --caption 'It broke'
  portaria sandbox inbound shop --from +5511912345678 --message '{"location":{"latitude":-23.5614,"longitude":-46.6559}}'
  portaria sandbox inbound shop --message '{"type":"revoke","message_id":"msg_…"}'`
}

// Run implements the command.
func (cmd *sandboxInboundCmd) Run(ctx context.Context, c *Config, io streams) error {
	body, err := cmd.body()
	if err != nil {
		return err
	}
	data, err := cmd.ask(ctx, http.MethodPost, cmd.path("inbound"), body)
	if err != nil || c.JSON {
		return printData(io, data, err)
	}
	var m struct {
		ID   string       `json:"id"`
		Type string       `json:"type"`
		From *toldAddress `json:"from"`
	}
	if json.Unmarshal(data, &m) != nil {
		return errStrangeAnswer
	}
	line := m.ID + " received"
	if m.From != nil {
		line += " from " + m.From.WAID
	}
	_, err = fmt.Fprintln(io.out, printable(line))
	return err
}

// body makes the request of the flags.
func (cmd *sandboxInboundCmd) body() (map[string]any, error) {
	if cmd.File == "" && (cmd.Kind != "" || cmd.Caption != "") {
		return nil, usageError("--kind and --caption: only with --file")
	}
	if cmd.From == "" && cmd.Message == "" {
		return nil, usageError("--from: say who writes")
	}
	body := make(map[string]any)
	switch {
	case cmd.File != "":
		if err := cmd.addFile(body); err != nil {
			return nil, err
		}
	case cmd.Message != "":
		if err := cmd.addMessage(body); err != nil {
			return nil, err
		}
	default:
		body["text"] = cmd.Text
	}
	if cmd.From != "" {
		body["from"] = cmd.From
	}
	if cmd.ReplyTo != "" {
		body["reply_to"] = cmd.ReplyTo
	}
	return body, nil
}

// addMessage takes a body as it is given.
func (cmd *sandboxInboundCmd) addMessage(body map[string]any) error {
	text := []byte(cmd.Message)
	if path, ok := strings.CutPrefix(cmd.Message, "@"); ok {
		var err error
		if text, err = os.ReadFile(path); err != nil {
			return usageError("--message: " + err.Error())
		}
	}
	var given map[string]jsontext.Value
	if json.Unmarshal(text, &given) != nil || given == nil {
		return usageError("--message: must be a JSON object, or @FILE with one")
	}
	for name, value := range given {
		body[name] = value
	}
	return nil
}

// maxInboundFile is the largest file: in base64 it has to fit into a body.
const maxInboundFile = 16 << 20

// addFile puts a file into the body.
func (cmd *sandboxInboundCmd) addFile(body map[string]any) error {
	info, err := os.Stat(cmd.File)
	if err != nil || !info.Mode().IsRegular() || info.Size() > maxInboundFile {
		return usageError("--file: must be a file of at most 16 MiB")
	}
	bytes, err := os.ReadFile(cmd.File)
	if err != nil {
		return usageError("--file: " + err.Error())
	}
	kind := cmd.Kind
	if kind == "" {
		kind = string(kindOf(cmd.File))
	}
	media := map[string]any{"base64": base64.StdEncoding.EncodeToString(bytes)}
	if kind == string(messaging.KindDocument) {
		media["filename"] = filepath.Base(cmd.File)
	}
	body["type"], body[kind] = kind, media
	if cmd.Caption != "" {
		body["caption"] = cmd.Caption
	}
	return nil
}

// kindOf is what people send a file as, by its name.
func kindOf(name string) messaging.Kind {
	mediaType := mime.TypeByExtension(strings.ToLower(filepath.Ext(name)))
	family, _, _ := strings.Cut(mediaType, "/")
	switch family {
	case "image":
		return messaging.KindImage
	case "video":
		return messaging.KindVideo
	case "audio":
		return messaging.KindAudio
	default:
		return messaging.KindDocument
	}
}
