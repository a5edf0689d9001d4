package gateway

import (
	"bytes"
	"strconv"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"portaria/auth"
	"portaria/internal/fault"
	"portaria/messaging"
)

// headers are the request headers that the door acts on. They are found in one
// pass and alias the request: nothing may keep them beyond it.
type headers struct {
	authorization, xAPIKey, apiKey       []byte
	idempotencyKey, xIdempotencyKey      []byte
	requestID, encoding                  []byte
	accept, acceptLanguage, forwardedFor []byte
	userAgent, contentType               []byte
	sandboxSeed                          []byte

	twice bool // a credential or an Idempotency-Key came twice with two values
}

// read fills h from a request. Names arrive in fasthttp's canonical form.
func (h *headers) read(from *fasthttp.RequestHeader) {
	*h = headers{}
	from.VisitAll(func(key, value []byte) {
		switch string(key) {
		case "Authorization":
			h.once(&h.authorization, value)
		case "X-Api-Key":
			h.once(&h.xAPIKey, value)
		case "Apikey":
			h.once(&h.apiKey, value)
		case "Idempotency-Key":
			h.once(&h.idempotencyKey, value)
		case "X-Idempotency-Key":
			h.once(&h.xIdempotencyKey, value)
		case "X-Sandbox-Seed":
			h.once(&h.sandboxSeed, value)
		case "X-Request-Id":
			h.requestID = value
		case "Content-Encoding":
			h.encoding = value
		case "Content-Type":
			h.contentType = value
		case "Accept":
			h.accept = value
		case "Accept-Language":
			h.acceptLanguage = value
		case "X-Forwarded-For":
			h.forwardedFor = joinList(h.forwardedFor, value)
		case "User-Agent":
			h.userAgent = value
		}
	})
}

// once sets a header that may come twice only with the same value: with two
// values, a proxy and this server could each believe another one.
func (h *headers) once(field *[]byte, value []byte) {
	if *field != nil && !bytes.Equal(*field, value) {
		h.twice = true
	}
	*field = value
	if value == nil {
		*field = []byte{}
	}
}

// joinList joins the values of a header that is a list, as RFC 9110 section
// 5.3 says.
func joinList(list, value []byte) []byte {
	if list == nil {
		return value
	}
	return append(append(bytes.Clone(list), ','), value...)
}

// token returns the presented key. An absent or malformed one is
// auth.ErrUnauthorized; two that differ are refused before anyone asks which
// of them counts.
func (h *headers) token() (string, error) {
	bearer, given := bearerToken(h.authorization)
	token := bearer
	for _, alias := range [...][]byte{h.xAPIKey, h.apiKey} {
		if alias == nil {
			continue
		}
		if given && !bytes.Equal(token, alias) {
			h.twice = true
		}
		token, given = alias, true
	}
	if h.twice {
		return "", fault.ErrBadRequest.Saying("The request carries two credentials, keys or seeds that differ; send one.")
	}
	if len(token) == 0 {
		return "", auth.ErrUnauthorized
	}
	return string(token), nil
}

// bearerToken cuts the scheme off. What has another scheme is a credential,
// though never a good one.
func bearerToken(authorization []byte) (token []byte, given bool) {
	const scheme = "bearer "
	if authorization == nil {
		return nil, false
	}
	if len(authorization) < len(scheme) || !strings.EqualFold(string(authorization[:len(scheme)]), scheme) {
		return nil, true
	}
	return bytes.TrimSpace(authorization[len(scheme):]), true
}

// pickRequestID echoes the caller's X-Request-Id when it is sane and draws one
// otherwise.
func (h *headers) pickRequestID(now time.Time) string {
	if saneRequestID(h.requestID) {
		return string(h.requestID)
	}
	return messaging.NewID(messaging.RequestPrefix, now)
}

// saneRequestID reports whether an id may go into logs and answers as it is:
// 1 to 128 of A–Z a–z 0–9 . _ : -
func saneRequestID(id []byte) bool {
	if len(id) == 0 || len(id) > 128 {
		return false
	}
	for _, c := range id {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case c == '.', c == '_', c == ':', c == '-':
		default:
			return false
		}
	}
	return true
}

// wantsProblem reports whether the caller asked for RFC 9457.
func (h *headers) wantsProblem() bool {
	return bytes.Contains(h.accept, []byte("application/problem+json"))
}

// wantsPortuguese reports whether Portuguese stands before English in what the
// caller reads.
func (h *headers) wantsPortuguese() bool {
	if len(h.acceptLanguage) == 0 {
		return false
	}
	best, portuguese := 0.0, false
	for entry := range strings.SplitSeq(string(h.acceptLanguage), ",") {
		tag, q := languageRange(entry)
		if isPT := tag == "pt"; q > best && (isPT || tag == "en") {
			best, portuguese = q, isPT
		}
	}
	return portuguese
}

// languageRange reads one entry of Accept-Language: the primary tag in lower
// case and its weight, 0 for what cannot be read.
func languageRange(entry string) (primary string, weight float64) {
	tag, parameters, _ := strings.Cut(strings.TrimSpace(entry), ";")
	primary, _, _ = strings.Cut(strings.TrimSpace(tag), "-")
	weight = 1
	if q, ok := strings.CutPrefix(strings.TrimSpace(parameters), "q="); ok {
		parsed, err := strconv.ParseFloat(q, 64)
		if err != nil || parsed < 0 || parsed > 1 {
			return "", 0
		}
		weight = parsed
	}
	return strings.ToLower(primary), weight
}
