package gateway

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"html/template"
	"net/http"

	"github.com/go-json-experiment/json"
	"github.com/gofiber/fiber/v2"

	"portaria/auth"
	"portaria/internal/fault"
	"portaria/messaging"
	"portaria/sandbox"
)

// ScanPath is where the QR of a test instance leads; its token follows.
const ScanPath = "/sandbox/scan/"

// shownQR is the text that a QR shows. That of a test instance is a link, which
// any phone's camera opens: to open it links the simulated phone.
func (s *Server) shownQR(text string) string {
	if token, ok := sandbox.LinkToken(text); ok {
		return s.publicURL() + ScanPath + token
	}
	return text
}

// scanRow is the page of that link. It is not in the table, and its pattern
// stands in the log, as those of pairing links. Nobody writes to it.
var scanRow = Row{Method: http.MethodGet, Path: ScanPath + "{token}"}

// scanPage is the page of a simulated phone: one document with its style inside,
// which the policy names by its hash. It has no script.
type scanPage struct {
	page   *template.Template
	style  string
	texts  map[string]map[string]string // by language
	policy string
}

// newScanPage reads the page from the binary.
func newScanPage() (*scanPage, error) {
	page, err := template.ParseFS(pageFiles, "page/scan.html")
	if err != nil {
		return nil, fmt.Errorf("scan page: %w", err)
	}
	style, err := pageFiles.ReadFile("page/pair.css")
	if err != nil {
		return nil, fmt.Errorf("scan page: %w", err)
	}
	p := &scanPage{page: page, style: string(style), texts: make(map[string]map[string]string)}
	for _, language := range []string{"en", "pt"} {
		encoded, err := pageFiles.ReadFile("page/scan." + language + ".json")
		if err != nil {
			return nil, fmt.Errorf("scan page: %w", err)
		}
		texts := make(map[string]string)
		if err := json.Unmarshal(encoded, &texts); err != nil {
			return nil, fmt.Errorf("scan page: %s: %w", language, err)
		}
		p.texts[language] = texts
	}
	p.policy = "default-src 'none'; style-src '" + hashSource(p.style) +
		"'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
	return p, nil
}

// write makes the document. said names its sentences; name is the instance's,
// empty when no phone was linked.
func (p *scanPage) write(language, said, name string) ([]byte, error) {
	texts := p.texts[language]
	var out bytes.Buffer
	err := p.page.Execute(&out, map[string]any{
		"Text": texts, "Name": name, "Said": texts[said], "More": texts[said+"_more"],
		"Style": template.CSS(p.style), // our own file: nothing of a request is in it
	})
	return out.Bytes(), err
}

// mountScan mounts the page.
func (s *Server) mountScan() (err error) {
	if s.phone, err = newScanPage(); err != nil {
		return err
	}
	return s.open(ScanPath+":token", s.showScanPage)
}

// showScanPage is what the simulated phone does when it opens the link of a QR: it
// links itself, and says so.
func (s *Server) showScanPage(c *fiber.Ctx) error {
	x := s.begin(c.Context(), &scanRow)
	defer x.end()
	token := c.Params("token")
	if err := x.shielded(func() error { return x.answerScan(token) }); err != nil {
		x.refuse(err)
	}
	return nil
}

// scannedView is what programs that open the link are told.
type scannedView struct {
	Instance string                  `json:"instance"` // its name
	State    messaging.InstanceState `json:"state"`
}

func (x *exchange) answerScan(token string) error {
	ctx, cancel := context.WithTimeout(context.Background(), defaultDeadline)
	defer cancel()
	x.secretive()
	instance, err := x.scanToken(ctx, token)
	accept := x.headers.accept
	if acceptance(accept, "application/json") > acceptance(accept, "text/html") {
		if err != nil {
			return err
		}
		return x.answerOpen(scannedView{Instance: instance.Name, State: messaging.InstanceConnected})
	}
	said := "linked"
	x.status = http.StatusOK
	if f := fault.As(err); f != nil {
		x.status = httpStatus(f.Kind())
	}
	switch {
	case err == nil:
	case errors.Is(err, fault.ErrNotFound):
		said = "gone"
	case errors.Is(err, auth.ErrRateLimited):
		said = "slow_down"
	default:
		return err
	}
	language := "en"
	if x.headers.wantsPortuguese() {
		language = "pt"
	}
	page, err := x.server.phone.write(language, said, instance.Name)
	if err != nil {
		return err
	}
	x.form = &form{mediaType: "text/html; charset=utf-8", body: page}
	setHeader(x.http, "Content-Security-Policy", x.server.phone.policy)
	setHeader(x.http, "Vary", "Accept, Accept-Language")
	x.send()
	return nil
}

// scanToken links the simulated phone to the instance that shows a token, unless
// it is only asked whether there is one (HEAD). Addresses that miss too often wait,
// and so does who looks too often. Faults: fault.ErrNotFound, auth.ErrRateLimited.
func (x *exchange) scanToken(ctx context.Context, token string) (messaging.Instance, error) {
	s, who := x.server, x.stranger()
	if err := s.misses.take(who, x.began, 0); err != nil {
		return messaging.Instance{}, err
	}
	instance, err := s.showing(ctx, token)
	if err != nil {
		if errors.Is(err, fault.ErrNotFound) {
			_ = s.misses.take(who, x.began, 1)
		}
		return messaging.Instance{}, err
	}
	if err := s.looks.take(instance.ID, x.began, 1); err != nil {
		return messaging.Instance{}, err
	}
	test, ok := instance.Test()
	switch {
	case !ok:
		return messaging.Instance{}, fault.ErrNotFound
	case string(x.http.Method()) == http.MethodHead:
		return instance, nil
	}
	err = s.controls.Scan(ctx, test, sandbox.LinkQR(token))
	if errors.Is(err, sandbox.ErrNotPairing) || errors.Is(err, sandbox.ErrWrongCode) { // another phone was faster
		err = fault.ErrNotFound
	}
	if err != nil {
		return messaging.Instance{}, err
	}
	s.logger.Info("a simulated phone was linked", "instance", instance.ID)
	return instance, nil
}

// showing finds the test instance that shows a token; fault.ErrNotFound.
func (s *Server) showing(ctx context.Context, token string) (messaging.Instance, error) {
	if len(token) != pairTokenLength || !plainText(token) {
		return messaging.Instance{}, fault.ErrNotFound
	}
	return s.testWorld.InstanceShowing(ctx, sandbox.LinkQR(token))
}
