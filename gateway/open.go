package gateway

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/gofiber/fiber/v2"
	"github.com/swaggest/swgui"
	"github.com/swaggest/swgui/v5emb"
	"github.com/valyala/fasthttp/fasthttpadaptor"

	"portaria/internal/fault"
)

// healthView is the answer of the health routes.
type healthView struct {
	Status  string `json:"status"`
	Version string `json:"version"`
}

// mountOpen mounts what needs no key: health and documentation.
func (s *Server) mountOpen() error {
	docs, err := s.docsHandler()
	if err != nil {
		return err
	}
	for _, route := range []struct {
		path    string
		handler fiber.Handler
	}{
		{"/healthz", s.healthz},
		{"/readyz", s.readyz},
		{"/openapi.json", s.openapi},
		{eventIndexPath, s.eventSchema},
		{eventSchemasPath + "/:file", s.eventSchema},
		{docsPath, docs},
		{docsPath + "/:asset", docs},
	} {
		if err := s.open(route.path, route.handler); err != nil {
			return err
		}
	}
	return nil
}

// healthz says that the process lives.
func (s *Server) healthz(c *fiber.Ctx) error {
	x := s.begin(c.Context(), nil)
	defer x.end()
	return x.answerOpen(healthView{Status: "ok", Version: s.version})
}

// readyz says whether the process can serve. What is wrong is in the log: the
// route is open to strangers.
func (s *Server) readyz(c *fiber.Ctx) error {
	x := s.begin(c.Context(), nil)
	defer x.end()
	// A context of its own: fasthttp's is used for the next request while what
	// Ready has left behind may still hold it.
	ctx, cancel := context.WithTimeout(context.Background(), defaultDeadline)
	defer cancel()
	if err := s.ready.Ready(ctx); err != nil {
		x.refuse(fault.ErrUnavailable.Saying("The server is not ready.").Because(err))
		return nil
	}
	return x.answerOpen(healthView{Status: "ready", Version: s.version})
}

// answerOpen answers a request that has no row.
func (x *exchange) answerOpen(data any) error {
	x.status = http.StatusOK
	if err := x.render(data); err != nil {
		return err
	}
	x.send()
	return nil
}

// openapi serves the document as it is, without envelope.
func (s *Server) openapi(c *fiber.Ctx) error {
	document, err := s.document()
	if err != nil {
		return err
	}
	c.Set("Content-Type", "application/json")
	c.Set("Access-Control-Allow-Origin", "*") // it is public, and tools read it from elsewhere
	c.Context().SetBody(document)
	return nil
}

// eventSchema serves the schema of a type of event, or their index.
func (s *Server) eventSchema(c *fiber.Ctx) error {
	files, err := s.schemas()
	if err != nil {
		return err
	}
	file, ok := files[c.Path()]
	if !ok {
		return errNoRoute
	}
	c.Set("Content-Type", "application/schema+json")
	c.Set("Access-Control-Allow-Origin", "*") // as the document
	c.Context().SetBody(file)
	return nil
}

// docsPath is where the documentation is browsed.
const docsPath = "/docs"

// docsHandler serves Swagger UI from the binary. The page's own script is
// allowed by its hash, so nothing injected can run; styles must stay inline,
// because the UI sets them on elements.
func (s *Server) docsHandler() (fiber.Handler, error) {
	ui := v5emb.NewWithConfig(swgui.Config{
		Title: "Portaria API", SwaggerJSON: "/openapi.json", BasePath: docsPath, HideCurl: false,
	})("", "", "")
	page := httptest.NewRecorder()
	request, err := http.NewRequest(http.MethodGet, docsPath, http.NoBody) //nolint:noctx // answered in memory
	if err != nil {
		return nil, err
	}
	ui.ServeHTTP(page, request)
	policy := "default-src 'none'; connect-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; " +
		"script-src 'self'" + inlineScriptHashes(page.Body.Bytes()) + "; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
	serve := fasthttpadaptor.NewFastHTTPHandler(ui)
	return func(c *fiber.Ctx) error {
		serve(c.Context())
		if c.Response().StatusCode() == http.StatusNotFound {
			c.Response().Reset()
			return errNoRoute
		}
		c.Set("Content-Security-Policy", policy)
		c.Set("X-Content-Type-Options", "nosniff")
		c.Set("Referrer-Policy", "no-referrer")
		return nil
	}, nil
}

// inlineScriptHashes lists the hashes of a page's inline scripts as a policy
// names them.
func inlineScriptHashes(page []byte) string {
	var list strings.Builder
	for {
		_, rest, found := bytes.Cut(page, []byte("<script>"))
		if !found {
			return list.String()
		}
		script, after, _ := bytes.Cut(rest, []byte("</script>"))
		sum := sha256.Sum256(script)
		list.WriteString(" 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'")
		page = after
	}
}
