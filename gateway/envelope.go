package gateway

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/valyala/fasthttp"

	"portaria/internal/fault"
)

// appender is an answer that writes its own JSON, without reflection.
type appender interface {
	appendJSON(b []byte) []byte
}

// List is a page of a list, and the cursor of the next one.
type List[T any] struct {
	Items []T
	Next  string // empty on the last page
	Limit int
}

// pageOf returns what the envelope shows of a page.
func (l List[T]) pageOf() (items any, next string, limit int) { return l.Items, l.Next, l.Limit }

// answer describes the envelope of a list.
func (List[T]) answer() any { return listAnswer[T]{} }

// paged is a List of anything.
type paged interface {
	pageOf() (items any, next string, limit int)
}

// render writes the envelope of success around data into x.out.
func (x *exchange) render(data any) error {
	if x.status == 0 {
		x.status = statusOf(x.row)
	}
	if f, ok := data.(manyFormed); ok {
		if data, x.form = f.inForm(); x.form != nil {
			return nil
		}
	}
	var next string
	var limit int
	list, isList := data.(paged)
	if isList {
		data, next, limit = list.pageOf()
	}
	b, err := appendData(append(x.out[:0], `{"success":true,"data":`...), data)
	if err != nil {
		return err
	}
	if isList {
		b = append(b, `,"page":{"next":`...)
		b = appendNullable(b, next)
		b = append(strconv.AppendInt(append(b, `,"limit":`...), int64(limit), 10), '}')
	}
	b = append(appendQuoted(append(b, `,"request_id":`...), x.call.RequestID), '}')
	x.out = b
	return nil
}

// appendData encodes one value.
func appendData(b []byte, data any) ([]byte, error) {
	if d, ok := data.(appender); ok {
		return d.appendJSON(b), nil
	}
	encoded, err := json.Marshal(data)
	if err != nil {
		return b, fmt.Errorf("encode answer: %w", err)
	}
	return append(b, encoded...), nil
}

// send writes the rendered answer.
func (x *exchange) send() {
	if x.form != nil {
		x.sendForm()
		return
	}
	x.http.Response.SetStatusCode(x.status)
	x.http.Response.Header.SetContentType("application/json")
	x.http.Response.SetBody(x.out)
	x.writeHeaders()
}

// writeHeaders sets what every answer of the door carries.
func (x *exchange) writeHeaders() {
	x.setHeader(nameRequestID, x.call.RequestID)
	x.setHeader(nameCacheControl, "no-store")
	if x.levels.requests.Limit > 0 {
		x.scratch = x.levels.write(x.http, x.began, x.scratch)
	}
	if !x.bodyTaken && hasBody(x.http) {
		linger := int64(lingerStranger)
		if x.call.Grant != nil {
			linger = lingerKnown + x.row.BodyLimit
		}
		leaveUnread(x.http, linger)
	}
}

// faultBody is the envelope of an error.
type faultBody struct {
	Success   bool       `json:"success"`
	Error     faultError `json:"error"`
	RequestID string     `json:"request_id"`
}

type faultError struct {
	Code    string         `json:"code"`
	Message string         `json:"message"`
	Details map[string]any `json:"details"`
}

// problem is the same error as RFC 9457 writes it.
type problem struct {
	Type      string         `json:"type"`
	Title     string         `json:"title"`
	Status    int            `json:"status"`
	Detail    string         `json:"detail"`
	Code      string         `json:"code"`
	Details   map[string]any `json:"details"`
	RequestID string         `json:"request_id"`
}

// writeFault answers with a fault, in the caller's language and form.
func (x *exchange) writeFault(f *fault.Fault) {
	status := httpStatus(f.Kind())
	said := faultError{Code: f.Code(), Message: f.Message(), Details: f.Details()}
	if x.headers.wantsPortuguese() {
		said = inPortuguese(said)
	}
	var body any = faultBody{Error: said, RequestID: x.call.RequestID}
	mediaType := "application/json"
	if x.headers.wantsProblem() {
		mediaType = "application/problem+json"
		body = problem{
			Type: "urn:portaria:error:" + said.Code, Title: http.StatusText(status), Status: status,
			Detail: said.Message, Code: said.Code, Details: said.Details, RequestID: x.call.RequestID,
		}
	}
	encoded, err := json.Marshal(body, json.Deterministic(true))
	if err != nil { // details that cannot be encoded are a bug; the code still counts
		x.server.logger.Error("encode fault", "code", f.Code(), "error", err)
		encoded = []byte(`{"success":false,"error":{"code":"INTERNAL","message":"","details":{}},"request_id":"` + x.call.RequestID + `"}`)
	}
	x.status = status
	x.http.Response.SetStatusCode(status)
	x.http.Response.Header.SetContentType(mediaType)
	x.http.Response.SetBody(encoded)
	if status == http.StatusUnauthorized {
		setHeader(x.http, "WWW-Authenticate", "Bearer")
	}
	if f.Kind().Temporary() {
		setHeader(x.http, "Retry-After", strconv.FormatInt(max(wholeSeconds(f.RetryAfter()), 1), 10))
	}
	x.writeHeaders()
}

// inPortuguese translates an error by its code, and its fields by their rules.
// Codes, field names and details stay as they are.
func inPortuguese(said faultError) faultError {
	if sentence, ok := portuguese(said.Code); ok {
		said.Message = sentence
	}
	fields, ok := said.Details["fields"].([]fault.Field)
	if !ok {
		return said
	}
	translated := make([]fault.Field, len(fields))
	for i, field := range fields {
		if sentence, ok := portugueseRules[field.Rule]; ok {
			field.Message = portuguesePlace(field.Message) + sentence
		}
		translated[i] = field
	}
	details := make(map[string]any, len(said.Details))
	for name, value := range said.Details {
		details[name] = value
	}
	details["fields"] = translated
	said.Details = details
	return said
}

// The names of the headers that every answer has.
var (
	nameRequestID           = []byte("X-Request-Id")
	nameCacheControl        = []byte("Cache-Control")
	nameEnvironment         = []byte("Portaria-Environment")
	nameRateLimitPolicy     = []byte("RateLimit-Policy")
	nameRateLimit           = []byte("RateLimit")
	nameXRateLimitLimit     = []byte("X-RateLimit-Limit")
	nameXRateLimitRemaining = []byte("X-RateLimit-Remaining")
	nameXRateLimitReset     = []byte("X-RateLimit-Reset")
)

// setHeader is the function of this name for headers that every answer has: it
// takes no memory.
func (x *exchange) setHeader(name []byte, value string) {
	x.scratch = append(x.scratch[:0], value...)
	x.http.Response.Header.SetCanonical(name, x.scratch)
}

// setHeader sets a header without changing how its name is written.
func setHeader(c *fasthttp.RequestCtx, name, value string) {
	c.Response.Header.SetCanonical([]byte(name), []byte(value))
}

// appendNullable writes a string, and null for an empty one.
func appendNullable(b []byte, s string) []byte {
	if s == "" {
		return append(b, "null"...)
	}
	return appendQuoted(b, s)
}

// appendQuoted writes a JSON string. Plain ASCII, which most strings are, is
// copied; the rest is left to the library, which replaces invalid UTF-8.
func appendQuoted(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			b, _ = jsontext.AppendQuote(b, s)
			return b
		}
	}
	return append(append(append(b, '"'), s...), '"')
}

// trimmedTo cuts text that is shown back to a caller.
func trimmedTo(s string, n int) string {
	if len(s) > n {
		s = s[:n]
	}
	return strings.ToValidUTF8(s, "")
}
