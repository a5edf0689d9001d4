package gateway

import (
	"bytes"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"errors"
	"fmt"
	"html/template"
	"net/http"

	"github.com/go-json-experiment/json"
	"github.com/gofiber/fiber/v2"

	"portaria/auth"
	"portaria/instances/pairlink"
	"portaria/internal/fault"
)

// PairPath is where pairing links lead; their token follows.
const PairPath = "/pair/"

//go:embed page
var pageFiles embed.FS

// pairPage is the page of pairing links: one document with its style and its
// script inside, which the policy names by their hashes, so that nothing else
// can run or be loaded.
type pairPage struct {
	page          *template.Template
	style, script string
	texts         map[string]pageTexts // by language
	policy        string
}

// pageTexts are the sentences of the page in one language.
type pageTexts struct {
	byName  map[string]string
	encoded string // as JSON, for the script
}

// newPairPage reads the page from the binary.
func newPairPage() (*pairPage, error) {
	page, err := template.ParseFS(pageFiles, "page/pair.html")
	if err != nil {
		return nil, fmt.Errorf("pairing page: %w", err)
	}
	p := &pairPage{page: page, texts: make(map[string]pageTexts)}
	for name, into := range map[string]*string{"pair.css": &p.style, "pair.js": &p.script} {
		text, err := pageFiles.ReadFile("page/" + name)
		if err != nil {
			return nil, fmt.Errorf("pairing page: %w", err)
		}
		*into = string(text)
	}
	for _, language := range []string{"en", "pt"} {
		encoded, err := pageFiles.ReadFile("page/pair." + language + ".json")
		if err != nil {
			return nil, fmt.Errorf("pairing page: %w", err)
		}
		texts := pageTexts{encoded: string(encoded)}
		if err := json.Unmarshal(encoded, &texts.byName); err != nil {
			return nil, fmt.Errorf("pairing page: %s: %w", language, err)
		}
		p.texts[language] = texts
	}
	p.policy = "default-src 'none'; script-src '" + hashSource(p.script) + "'; style-src '" + hashSource(p.style) +
		"'; img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
	return p, nil
}

// hashSource is how a policy names an inline text.
func hashSource(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

// The views that the page begins with.
const (
	viewPair = "pair" // go ahead
	viewPIN  = "pin"  // ask for the PIN first
	viewEnd  = "end"  // the link opens nothing
)

// write makes the document. name is the instance's; said is why the link opens
// nothing.
func (p *pairPage) write(language, view, name, said, more string) ([]byte, error) {
	texts := p.texts[language]
	var out bytes.Buffer
	err := p.page.Execute(&out, map[string]any{
		"Language": language, "View": view, "Name": name, "Text": texts.byName, "Texts": texts.encoded,
		"Said": texts.byName[said], "More": texts.byName[more],
		"Style":  template.CSS(p.style), // our own files: nothing of a request is in them
		"Script": template.JS(p.script),
	})
	return out.Bytes(), err
}

// whyEnded names the sentences of a link that opens nothing; false for a fault
// that is no word about the link.
func whyEnded(err error) (said, more string, ok bool) {
	switch {
	case errors.Is(err, pairlink.ErrUsed):
		return "used", "used_more", true
	case errors.Is(err, pairlink.ErrExpired):
		return "expired", "ended_more", true
	case errors.Is(err, pairlink.ErrBlocked):
		return "blocked", "ended_more", true
	case errors.Is(err, auth.ErrRateLimited):
		return "slow_down", "", true
	default:
		f := fault.As(err)
		return "ended", "ended_more", f != nil && f.Kind() == fault.NotFound
	}
}

// showPairPage answers a link with its page. It begins nothing: those who only
// look at links, as messengers do to show a preview, must not start a pairing.
// That is for the page's script.
func (s *Server) showPairPage(c *fiber.Ctx) error {
	x := s.begin(c.Context(), &pairRow)
	defer x.end()
	token := c.Params("token")
	if err := x.shielded(func() error { return x.answerPage(token) }); err != nil {
		x.refuse(err)
	}
	return nil
}

func (x *exchange) answerPage(token string) error {
	ctx, cancel := context.WithTimeout(context.Background(), defaultDeadline)
	defer cancel()
	language := "en"
	if x.headers.wantsPortuguese() {
		language = "pt"
	}
	view, name, said, more := viewPair, "", "", ""
	x.status = http.StatusOK
	link, err := x.openLink(ctx, token, "")
	if err == nil {
		instance, lookup := x.server.instances.Resolve(ctx, link.Tenancy, link.InstanceID)
		name, err = instance.Name, lookup
	}
	switch {
	case errors.Is(err, pairlink.ErrPINRequired):
		view = viewPIN
	case err != nil:
		var known bool
		if said, more, known = whyEnded(err); !known {
			return err
		}
		view, x.status = viewEnd, httpStatus(fault.As(err).Kind())
	}
	page, err := x.server.page.write(language, view, name, said, more)
	if err != nil {
		return err
	}
	x.form = &form{mediaType: "text/html; charset=utf-8", body: page}
	setHeader(x.http, "Content-Security-Policy", x.server.page.policy)
	setHeader(x.http, "Vary", "Accept-Language")
	x.secretive()
	x.send()
	return nil
}

// secretive sets what keeps the address of a page, which holds a secret, from
// others. Nothing of it is stored either (writeHeaders).
func (x *exchange) secretive() {
	setHeader(x.http, "Referrer-Policy", "no-referrer")
	setHeader(x.http, "X-Robots-Tag", "noindex, nofollow")
	setHeader(x.http, "X-Frame-Options", "DENY")
}
