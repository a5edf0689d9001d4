package gateway

import (
	"bytes"
	"encoding/base64"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"pgregory.net/rapid"
)

// Callers encode files with whatever their language has at hand.
func TestBase64IsReadInEveryForm(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		file := rapid.SliceOf(rapid.Byte()).Draw(t, "file")
		text := rapid.SampledFrom([]*base64.Encoding{
			base64.StdEncoding, base64.RawStdEncoding, base64.URLEncoding, base64.RawURLEncoding,
		}).Draw(t, "encoding").EncodeToString(file)
		if wrap := rapid.IntRange(4, 76).Draw(t, "wrap"); rapid.Bool().Draw(t, "wrapped") && len(text) > wrap {
			text = text[:wrap] + "\n" + text[wrap:]
		}
		if rapid.Bool().Draw(t, "data URI") {
			text = "data:image/png;base64," + text
		}
		quoted, err := json.Marshal(text)
		if err != nil {
			t.Fatal(err)
		}
		if rapid.Bool().Draw(t, "escaped") { // as PHP writes slashes
			quoted = bytes.ReplaceAll(quoted, []byte("/"), []byte(`\/`))
		}
		var got base64Text
		if err := json.Unmarshal(quoted, &got); err != nil {
			t.Fatal(err)
		}
		if !got.sound || !bytes.Equal(got.bytes, file) {
			t.Fatalf("%s was read as %x, %v", quoted, got.bytes, got.sound)
		}
	})
}

// Nothing but one text in the place of a file may make a body long.
func TestABodyIsWeighedWithoutItsFile(t *testing.T) {
	long := strings.Repeat("A", 2*jsonLimit)
	for body, tooMuch := range map[string]bool{
		`{"image":{"base64":"` + long + `"}}`:                         false,
		`{"image":{"base64" : "` + long + `"},"to":"x"}`:              false,
		`{"image":{"base64":["` + long + `"]}}`:                       true,
		`{"text":"\"base64\":\"","caption":"` + long + `"}`:           true,
		`{"image":{"base64":"A"},"caption":"` + long + `"}`:           true,
		`{"caption":"` + long + `","image":{"base64":"A"}}`:           true,
		`{"base64":"` + long:                                          true,
		`{"text":"` + long + `"}`:                                     true,
		`{"text":"short"}`:                                            false,
		`{"image":{"base64":"` + long + `"},"m":[` + long[:jsonLimit]: true,
	} {
		if got := weighsTooMuch([]byte(body)); got != tooMuch {
			t.Errorf("%.40s…: %v", body, got)
		}
	}
}
