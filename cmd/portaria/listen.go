package main

import (
	"context"
	"net"
	"net/url"
	"os"
	"os/signal"
	"regexp"
	"strings"
	"syscall"

	"portaria/events/webhooks"
	"portaria/messaging"
)

// listenCmd shows events while one develops: it follows the stream of the API,
// or receives webhooks.
type listenCmd struct {
	URL        string   `name:"url" help:"Address of the server." default:"http://127.0.0.1:8080" env:"PORTARIA_URL" placeholder:"URL"`
	APIKey     string   `name:"api-key" help:"A key with events:read; better given by its variable, which other users cannot see." env:"PORTARIA_API_KEY" placeholder:"TOKEN"`
	APIKeyFile string   `name:"api-key-file" help:"File that holds the key." env:"PORTARIA_API_KEY_FILE" placeholder:"FILE"`
	Type       []string `help:"Only events of this type, as message.delivered or message.*; repeatable." placeholder:"TYPE"`
	Instance   string   `help:"Only events of this instance, by id or name." placeholder:"INSTANCE"`
	After      string   `help:"Begin behind this event instead of now." placeholder:"EVENT_ID"`
	Forward    string   `help:"Also post each event to this program, signed as a webhook." placeholder:"URL"`
	Receive    string   `help:"Receive webhooks at this address instead of following the stream." placeholder:"HOST:PORT"`
	Secret     []string `help:"Secret that signs what is forwarded, or verifies what is received; repeatable during a rotation." env:"PORTARIA_WEBHOOK_SECRET" placeholder:"whsec_…"`
	SecretFile string   `help:"File that holds the secret, or several, one a line." env:"PORTARIA_WEBHOOK_SECRET_FILE" placeholder:"FILE"`
}

// Help implements kong.HelpProvider.
func (listenCmd) Help() string {
	return `Follows the events of a key, with events:read, until Ctrl-C. A lost connection is made again, and nothing that the journal
still keeps is missed. With --json one event a line, without end; what is not an event goes to standard error.

--forward posts each event to a local program exactly as a webhook does, signed with --secret or one that is drawn and shown
at the start. No answer, 429 and 5xx are tried again after 1, 2 and 4 seconds; then the next event follows.

--receive needs no key: it is an endpoint that verifies webhooks with --secret and shows them, or says why not. With
--forward the program's answer is passed back.

  portaria listen
  portaria listen --type 'message.*' --instance shop --json
  portaria listen --forward http://127.0.0.1:3000/hooks
  portaria listen --receive 127.0.0.1:9000 --secret whsec_…`
}

// Run implements the command.
func (cmd *listenCmd) Run(ctx context.Context, c *Config, io streams) error {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := cmd.check(); err != nil {
		return err
	}
	secrets, err := cmd.secrets()
	if err != nil {
		return err
	}
	out := &eventPrinter{streams: io, json: c.JSON}
	if cmd.Receive != "" {
		err = cmd.receive(ctx, out, secrets)
	} else {
		err = cmd.follow(ctx, out, secrets)
	}
	return out.failure(err)
}

// typePattern is what can be a type of event or a family of them; which ones
// there are is the server's to say.
var typePattern = regexp.MustCompile(`^([a-z_]+\.)?([a-z_]+|\*)$`)

// check refuses flags that cannot be used.
func (cmd *listenCmd) check() error {
	for _, pattern := range cmd.Type {
		if !typePattern.MatchString(pattern) {
			return usageError("--type: must be a type of event, as message.delivered, or a family, as message.*")
		}
	}
	if cmd.After != "" && !messaging.ValidID(messaging.EventPrefix, cmd.After) {
		return usageError("--after: must be an event's id, evt_…")
	}
	if cmd.Forward != "" {
		if u, err := url.Parse(cmd.Forward); err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" {
			return usageError("--forward: must be an address as http://127.0.0.1:3000/hooks")
		}
	}
	if cmd.Receive == "" {
		return nil
	}
	if _, _, err := net.SplitHostPort(cmd.Receive); err != nil {
		return usageError("--receive: must be an address to listen on, as 127.0.0.1:9000")
	}
	if len(cmd.Type) > 0 || cmd.Instance != "" || cmd.After != "" {
		return usageError("--type, --instance and --after: not with --receive; the webhook itself says what it wants")
	}
	return nil
}

// secrets are those of the flag, its variable and the file.
func (cmd *listenCmd) secrets() ([]webhooks.Secret, error) {
	text, err := fromFile("PORTARIA_WEBHOOK_SECRET", strings.Join(cmd.Secret, "\n"), cmd.SecretFile)
	if err != nil {
		return nil, err
	}
	var secrets []webhooks.Secret
	for _, word := range strings.Fields(text) {
		secret, err := webhooks.ParseSecret(word)
		if err != nil {
			return nil, usageError("--secret: must be a webhook's secret, whsec_… as it was shown when the webhook was made")
		}
		secrets = append(secrets, secret)
	}
	return secrets, nil
}

// newForwarder returns nil without --forward.
func (cmd *listenCmd) newForwarder(secrets []webhooks.Secret) *forwarder {
	if cmd.Forward == "" {
		return nil
	}
	return &forwarder{url: cmd.Forward, secrets: secrets, client: newForwardClient(), waits: forwardWaits}
}
