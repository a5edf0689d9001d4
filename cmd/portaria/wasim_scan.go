package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
)

// wasimScanCmd is the owner of a simulated phone who links a client.
type wasimScanCmd struct {
	wasimControl

	Phone      string `required:"" help:"Number of the phone, with its country code." placeholder:"NUMBER"`
	QR         string `arg:"" optional:"" name:"qr" help:"The text of the QR; absent: read from standard input." placeholder:"TEXT"`
	Code       string `help:"The code of eight letters and digits that the client shows, instead of a QR." placeholder:"CODE"`
	Instance   string `help:"Ask the running gateway for the QR of this instance, which is connected for it." placeholder:"INSTANCE"`
	URL        string `name:"url" help:"With --instance: address of the gateway." default:"http://127.0.0.1:8080" env:"PORTARIA_URL" placeholder:"URL"`
	APIKey     string `name:"api-key" help:"With --instance: a key with whatsapp:manage; better given by its variable." env:"PORTARIA_API_KEY" placeholder:"TOKEN"`
	APIKeyFile string `name:"api-key-file" help:"File that holds the key." env:"PORTARIA_API_KEY_FILE" placeholder:"FILE"`
}

// Help implements kong.HelpProvider.
func (wasimScanCmd) Help() string {
	return `Comes back once the client is linked and has been told to log in. Each client that is linked to a number is another
device of it.

  portaria wasim scan --phone 5511987654321 --instance shop
  portaria wasim scan --phone 5511987654321 'https://wa.me/settings/linked_devices#2@…'
  portaria wasim scan --phone 5511987654321 --code ABCD-EFGH`
}

// wasimLinked is a number after a client was linked to it.
type wasimLinked struct {
	Phone   string   `json:"phone"`
	Devices []uint16 `json:"devices"`
}

// Run implements the command.
func (cmd *wasimScanCmd) Run(ctx context.Context, c *Config, io streams) error {
	path, body := "/type-code", map[string]string{"phone": cmd.Phone, "code": cmd.Code}
	if cmd.Code == "" {
		qr, err := cmd.findQR(ctx, io)
		if err != nil {
			return err
		}
		path, body = "/scan", map[string]string{"phone": cmd.Phone, "qr": qr}
	} else if cmd.QR != "" || cmd.Instance != "" {
		return usageError("--code: not with a QR or --instance")
	}
	var linked wasimLinked
	if err := cmd.ask(ctx, http.MethodPost, path, body, &linked); err != nil {
		return err
	}
	if c.JSON {
		return printJSON(io, linked)
	}
	fmt.Fprintf(io.out, "Linked to %s, which has %d linked device(s) now.\n", linked.Phone, len(linked.Devices))
	return nil
}

// findQR takes the QR from where it is: the argument, the gateway, or standard
// input.
func (cmd *wasimScanCmd) findQR(ctx context.Context, io streams) (string, error) {
	switch {
	case cmd.QR != "" && cmd.Instance != "":
		return "", usageError("--instance: not with a QR")
	case cmd.QR != "":
		return cmd.QR, nil
	case cmd.Instance != "":
		return cmd.askGateway(ctx)
	default:
		return readQR(io.in)
	}
}

func readQR(in io.Reader) (string, error) {
	const longest = 4096
	text, err := io.ReadAll(io.LimitReader(in, longest))
	if err != nil {
		return "", fmt.Errorf("read the QR: %w", err)
	}
	qr := strings.TrimSpace(string(text))
	if qr == "" {
		return "", usageError("say which client: the text of its QR, --code or --instance")
	}
	return qr, nil
}

// askGateway asks for an instance's QR, and begins its pairing when nobody has.
func (cmd *wasimScanCmd) askGateway(ctx context.Context) (string, error) {
	token, err := fromFile("PORTARIA_API_KEY", cmd.APIKey, cmd.APIKeyFile)
	if err != nil {
		return "", err
	}
	if token = strings.TrimSpace(token); token == "" {
		return "", usageError("--api-key: set PORTARIA_API_KEY, or PORTARIA_API_KEY_FILE to a file that holds the key")
	}
	base, err := serverURL("--url", cmd.URL)
	if err != nil {
		return "", err
	}
	instance := base + "/v1/instances/" + url.PathEscape(cmd.Instance)
	qr, err := fetchQR(ctx, instance, token)
	if !isNotPairing(err) {
		return qr, gatewayError(base, err)
	}
	if _, err := askJSON(ctx, http.MethodPost, instance+"/connect", token, nil); err != nil {
		return "", gatewayError(base, err)
	}
	return cmd.awaitQR(ctx, base, instance, token)
}

// awaitQR asks until the pairing that was begun has a QR.
func (cmd *wasimScanCmd) awaitQR(ctx context.Context, base, instance, token string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, wasimPatience)
	defer cancel()
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for {
		qr, err := fetchQR(ctx, instance, token)
		if !isNotPairing(err) {
			return qr, gatewayError(base, err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return "", err
		}
	}
}

func fetchQR(ctx context.Context, instance, token string) (string, error) {
	data, err := askJSON(ctx, http.MethodGet, instance+"/qr", token, nil)
	if err != nil {
		return "", err
	}
	var qr struct {
		Code string `json:"code"`
	}
	if err := json.Unmarshal(data, &qr); err != nil {
		return "", errStrangeAnswer.Because(err)
	}
	return qr.Code, nil
}

func isNotPairing(err error) bool {
	refused, ok := errors.AsType[*refusal](err)
	return ok && refused.Code == "INSTANCE_NOT_PAIRING"
}

// gatewayError tells an answer of the gateway from one that never came.
func gatewayError(base string, err error) error {
	if _, ok := errors.AsType[*refusal](err); ok || err == nil || errors.Is(err, errStrangeAnswer) {
		return err
	}
	return unreachable(base, err)
}
