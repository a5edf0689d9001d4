package gateway

import (
	"bytes"
	"mime/multipart"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"portaria/internal/fault"
)

// assembled takes a form apart and makes the body that it stands for.
func assembled(t *testing.T, form []byte, boundary string) (upload *rowsUpload, body string, err error) {
	t.Helper()
	upload = uploaded(t, rowsJSON, "")
	parts := bulkParts{upload: upload}
	if err := parts.take(multipart.NewReader(bytes.NewReader(form), boundary)); err != nil {
		return upload, "", err
	}
	b, err := parts.assemble(nil)
	return upload, string(b), err
}

// formOf writes parts as name, value, name, value …
func formOf(t testing.TB, pairs ...string) (form []byte, boundary string) {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for i := 0; i < len(pairs); i += 2 {
		if err := w.WriteField(pairs[i], pairs[i+1]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes(), w.Boundary()
}

func TestPartsBecomeTheBodyThatTheyStandFor(t *testing.T) {
	for name, c := range map[string]struct {
		parts []string
		want  string
	}{
		"a content":        {[]string{"message", ` {"text":"a"} `, "file", "to\n"}, `{"message":{"text":"a"}}`},
		"the whole":        {[]string{"file", "", "message", `{"pace":{},"message":{"text":"a"}}`}, `{"message":{"text":"a"},"pace":{}}`},
		"plain texts":      {[]string{"name", ` a "b" `, "expires_in", "2h", "priority", `"high"`}, `{"expires_in":"2h","name":"a \"b\"","priority":"high"}`},
		"numbers as texts": {[]string{"name", "12", "time_zone", "null"}, `{"name":"12","time_zone":"null"}`},
		"JSON":             {[]string{"dedupe", "false", "mapping", `{"to":"a"}`}, `{"dedupe":false,"mapping":{"to":"a"}}`},
		"a list":           {[]string{"instances", `["a"]`}, `{"instances":["a"]}`},
		"a list as text":   {[]string{"instances", "a, b,c"}, `{"instances":["a","b","c"]}`},
		"an empty text":    {[]string{"name", ""}, `{"name":""}`},
		"an unknown one":   {[]string{"message", `{"message":{},"x\ty":1}`}, `{"message":{},"x\ty":1}`},
		"no object":        {[]string{"message", `[{"message":1}]`}, `{"message":[{"message":1}]}`},
	} {
		t.Run(name, func(t *testing.T) {
			form, boundary := formOf(t, c.parts...)
			if _, body, err := assembled(t, form, boundary); err != nil || body != c.want {
				t.Errorf("got %s, %v; want %s", body, err, c.want)
			}
		})
	}
}

// Options are small; only the file may be long.
func TestOptionsOfAFormAreBounded(t *testing.T) {
	form, boundary := formOf(t, "name", strings.Repeat("a", 700<<10), "message", `{"text":"`+strings.Repeat("a", 700<<10)+`"}`)
	if _, _, err := assembled(t, form, boundary); !fault.As(err).Is(ErrPayloadTooLarge) {
		t.Errorf("got %v", err)
	}
}

// Whatever a form holds, it is refused or becomes one JSON object.
func FuzzBulkForm(f *testing.F) {
	for _, pairs := range [][]string{
		{"file", "to\n1\n", "message", `{"text":"a"}`},
		{"message", `{"message":{"text":"a"},"name":"b"}`, "name", "c"},
		{"instances", `a,"b`, "pace", "{}"},
		{"message", `{"a\ud800":1,"message":2}`},
		{"metadata", `{"a":1}{}`},
		{"x", "y"},
	} {
		form, boundary := formOf(f, pairs...)
		f.Add(bytes.ReplaceAll(form, []byte(boundary), []byte("b")))
	}
	f.Fuzz(func(t *testing.T, form []byte) {
		_, body, err := assembled(t, form, "b")
		if err != nil {
			return
		}
		if !jsontext.Value(body).IsValid() || body[0] != '{' {
			t.Fatalf("%q became %q", form, body)
		}
	})
}
