//go:build !race

// The race detector allocates too, so these numbers are for programs without it.

package gateway_test

import (
	"net/http"
	"runtime"
	"strings"
	"testing"

	"portaria/gateway/gatewaytest"
)

// What a long body costs is its own length, once: not a buffer that doubled, a
// copy and the decoded file beside it.
func TestALongBodyIsHeldOnce(t *testing.T) {
	h := open(t)
	token := h.key(t, "whatsapp:send")
	file := strings.Repeat("AAAA", 5<<20)
	for _, c := range []struct {
		body   string
		status int
		code   string
	}{
		{`{"base64":"` + file + `"}`, http.StatusCreated, ""},
		{`{"base64":"` + file + `","unknown":1}`, http.StatusUnprocessableEntity, "VALIDATION_FAILED"},
		{`{"base64":"` + file + `"}}`, http.StatusBadRequest, "INVALID_JSON"},
	} {
		upload := func() {
			h.Expect(t, gatewaytest.Request{Method: http.MethodPost, Path: "/v1/media", Token: token, Body: c.body}, c.status, c.code)
		}
		upload() // buffers and connections that stay
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		upload()
		runtime.ReadMemStats(&after)
		if used, most := after.TotalAlloc-before.TotalAlloc, uint64(len(c.body)+6<<20); used > most {
			t.Errorf("%d: %d MiB were allocated for a body of %d", c.status, used>>20, len(c.body)>>20)
		}
	}
}
