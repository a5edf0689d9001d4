package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// bulkSendCmd uploads a file of recipients.
type bulkSendCmd struct {
	apiFlags

	File string `arg:"" help:"CSV in UTF-8 with a row of headers, or one JSON object a line (.ndjson, .jsonl); - reads standard input." placeholder:"FILE"`

	Template     string            `xor:"what" help:"The text, as 'Olá {{name}}' or 'Olá {{name|cliente}}'." placeholder:"TEXT"`
	Message      string            `xor:"what" help:"A message of any kind, as JSON or @FILE." placeholder:"JSON"`
	Instance     []string          `help:"Instance to send from, by id or name; repeatable; not needed with a key locked to one." placeholder:"INSTANCE"`
	Name         string            `help:"What the bulk is called." placeholder:"NAME"`
	Map          map[string]string `mapsep:"none" help:"Take a variable, or to, from a column of another name; repeatable." placeholder:"to=COLUMN"`
	SendAt       string            `help:"When to begin, as 2026-01-31T12:00:00Z, or without the Z by the clocks of --time-zone." placeholder:"TIME"`
	TimeZone     string            `help:"Whose clocks --send-at and --quiet mean, as America/Sao_Paulo." placeholder:"ZONE"`
	MinGap       *duration         `help:"Least time between two messages of an instance." placeholder:"DURATION"`
	Jitter       *duration         `help:"Up to so much is added to each gap." placeholder:"DURATION"`
	PerHour      int               `help:"Most messages of an instance in any hour." placeholder:"N"`
	Quiet        string            `help:"Time of day in which nothing is sent, as 21:00-08:00." placeholder:"FROM-TO"`
	Dedupe       bool              `default:"true" negatable:"" help:"Send once to a recipient that comes twice."`
	DedupeWindow *duration         `help:"Skip who had another bulk of the instance within so long." placeholder:"DURATION"`
	FrequencyCap string            `help:"Most bulk messages to a recipient within a time, as 2/7d." placeholder:"N/DURATION"`
	OnInvalid    string            `enum:"reject,skip," default:"" help:"What rows that cannot be sent do: reject the bulk (default), or skip." placeholder:"reject|skip"`
	Priority     string            `enum:"high,normal,low," default:"" help:"high, normal or low (default)." placeholder:"PRIORITY"`

	DryRun         bool   `help:"Check every row and say what would happen; nothing is sent."`
	NoWait         bool   `help:"Come back once the bulk is accepted."`
	IdempotencyKey string `help:"Repeating the command with the same one sends nothing twice." placeholder:"KEY"`
}

// Help implements kong.HelpProvider.
func (bulkSendCmd) Help() string {
	return `The file needs a column to (or --map to=COLUMN); every other column is a variable. A file with a row that cannot be sent
is refused whole, with a report, unless --on-invalid skip.

Once it is accepted the bulk belongs to the server: Ctrl-C only ends the watching, with 0, and portaria bulk watch picks it up
again. Ends with 0 when everybody was sent to, and with 1 when some could not be or the bulk was canceled. Watching needs bulk:read.

  portaria bulk send contacts.csv --template 'Olá {{name|cliente}}' --dry-run
  portaria bulk send contacts.csv --template 'Olá {{name|cliente}}' --min-gap 2s --jitter 1s --quiet 21:00-08:00 --time-zone America/Sao_Paulo
  portaria bulk send people.csv --map to=phone --message @image.json --instance shop --instance desk --no-wait --json`
}

// uploadPatience is how long an upload and its checking may take.
const uploadPatience = 10 * time.Minute

// Run implements the command.
func (cmd *bulkSendCmd) Run(ctx context.Context, c *Config, io streams) error {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	body, err := cmd.body()
	if err != nil {
		return err
	}
	api, err := cmd.client(uploadPatience)
	if err != nil {
		return err
	}
	upload, err := openUpload(ctx, cmd.File, io.in)
	if err != nil {
		return err
	}
	defer upload.close()
	path, err := cmd.path(ctx, api, &body)
	if err != nil {
		return err
	}
	if upload.options, err = json.Marshal(body); err != nil {
		return usageError("the flags must be valid UTF-8")
	}
	if cmd.DryRun {
		return cmd.rehearse(ctx, c, io, api, upload, path)
	}
	data, err := cmd.send(ctx, io, api, upload, path)
	if err != nil {
		return tellRows(io, cmd.inFlags(err))
	}
	return cmd.accepted(ctx, c, io, api, data)
}

// path says where to post: from one instance, or spread over several. Who has
// named one pays for no other request: a large bulk may need all that its key
// has.
func (cmd *bulkSendCmd) path(ctx context.Context, api *apiClient, body *bulkBody) (string, error) {
	switch len(cmd.Instance) {
	case 0:
		id, err := onlyInstance(ctx, api)
		return bulkPathOf(id), err
	case 1:
		return bulkPathOf(cmd.Instance[0]), nil
	default:
		body.Instances = cmd.Instance
		return "/v1/bulk", nil
	}
}

func bulkPathOf(instance string) string { return "/v1/instances/" + url.PathEscape(instance) + "/bulk" }

// onlyInstance finds the instance to which a key is locked.
func onlyInstance(ctx context.Context, api *apiClient) (string, error) {
	data, err := api.get(ctx, "/v1/me")
	if err != nil {
		return "", err
	}
	var me struct {
		Instances []struct {
			ID string `json:"id"`
		} `json:"instances"`
	}
	if err := json.Unmarshal(data, &me); err != nil {
		return "", errStrangeAnswer.Because(err)
	}
	if len(me.Instances) != 1 {
		return "", usageError("--instance: say which instance sends (repeatable); this key is not locked to one")
	}
	return me.Instances[0].ID, nil
}

// send uploads the bulk. When it is not known what became of it, people are told
// how to find out: by repeating it.
func (cmd *bulkSendCmd) send(ctx context.Context, io streams, api *apiClient, upload *bulkUpload, path string) (jsontext.Value, error) {
	key := cmd.IdempotencyKey
	if key == "" {
		key = "cli-" + rand.Text()
	}
	data, err := upload.postPatiently(ctx, io, api, path, key)
	if err == nil || !uncertain(err) {
		return data, err
	}
	if refused := keyRefusal(ctx, api); refused != nil {
		return nil, refused
	}
	fmt.Fprintf(io.err, "portaria: whether the bulk was accepted is not known; to find out, repeat the command with --idempotency-key %s: nothing is sent twice\n",
		printable(key))
	if ctx.Err() != nil {
		return nil, toldError("interrupted")
	}
	return nil, err
}

// keyRefusal asks whether the key is good at all. That answer gets lost when it
// comes while a large file is still on its way.
func keyRefusal(ctx context.Context, api *apiClient) error {
	_, err := api.get(ctx, "/v1/me")
	if refused, ok := errors.AsType[*refusal](err); ok && refused.status == http.StatusUnauthorized {
		return err
	}
	return nil
}

// uncertain reports whether a request may have been carried out though its
// answer is missing.
func uncertain(err error) bool {
	if refused, ok := errors.AsType[*refusal](err); ok {
		return refused.status >= 500
	}
	if _, ok := errors.AsType[unasked](err); ok {
		return false
	}
	return errors.Is(err, errNobodyThere) || errors.Is(err, errStrangeAnswer)
}

// accepted tells of a bulk that the server has taken, and watches it.
func (cmd *bulkSendCmd) accepted(ctx context.Context, c *Config, io streams, api *apiClient, data jsontext.Value) error {
	b, err := readBulk(data)
	if err != nil {
		return err
	}
	if cmd.NoWait {
		return printAccepted(c, io, &b, data)
	}
	fmt.Fprintf(io.err, "%s: accepted, %d recipients\n", b.ID, b.Counts.Total)
	w := newBulkWatcher(api, b.ID, newBulkProgress(io.err))
	w.taken(b, data)
	err = w.follow(ctx)
	if refused, ok := errors.AsType[*refusal](err); ok && refused.Code == "INSUFFICIENT_SCOPE" {
		fmt.Fprintln(io.err, "portaria: the key may not watch it, for which it needs bulk:read; the bulk goes on by itself")
		return printAccepted(c, io, &b, data)
	}
	return w.report(ctx, c, io, err)
}

func printAccepted(c *Config, io streams, b *bulkView, data jsontext.Value) error {
	if c.JSON {
		return printJSON(io, data)
	}
	fmt.Fprintf(io.out, "%s: %s, %d recipients\n", b.ID, b.State, b.Counts.Total)
	return nil
}
