package gateway

import (
	"bytes"
	"encoding/base64"
	"io"
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
		switch rapid.IntRange(0, 2).Draw(t, "escaped") {
		case 1: // as PHP writes slashes
			quoted = bytes.ReplaceAll(quoted, []byte("/"), []byte(`\/`))
		case 2: // as .NET and Gson write what HTML knows
			quoted = bytes.ReplaceAll(bytes.ReplaceAll(quoted, []byte("+"), []byte(`\u002B`)), []byte("="), []byte(`\u003d`))
		}
		var got base64Text
		if err := json.Unmarshal(quoted, &got); err != nil {
			t.Fatal(err)
		}
		read, err := io.ReadAll(got.file(quoted))
		if err != nil || !got.sound || !bytes.Equal(read, file) {
			t.Fatalf("%s was read as %x, %v, %v", quoted, read, got.sound, err)
		}
	})
}

// What is no base64 is found before a file is made of it, and the body stays as
// it was sent: who asks again is told apart by it.
func FuzzBase64(f *testing.F) {
	for _, seed := range []string{`"AAAA"`, `"AA=A"`, `"A"`, `"\u00e9AA"`, `"\t"`, `"é"`, `"data:;base64,AA=="`, `"data:,"`, `"\u002b\\"`, `"\ud800"`, `1`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		before := bytes.Clone(body)
		var got base64Text
		if json.Unmarshal(body, &got) != nil {
			return
		}
		_, err := io.ReadAll(got.file(body))
		if got.sound != (err == nil) || !bytes.Equal(before, body) {
			t.Fatalf("%q: sound %v, but %v; the body is now %q", before, got.sound, err, body)
		}
	})
}

func TestWhatIsNoBase64IsRefused(t *testing.T) {
	for _, text := range []string{`"A"`, `"AA=A"`, `"AA AA"`, `"\u00e9AAA"`, `"\tAAA"`, `"AAA!"`} {
		var got base64Text
		if err := json.Unmarshal([]byte(text), &got); err != nil || got.sound {
			t.Errorf("%s: %v, sound %v", text, err, got.sound)
		}
	}
}

// Nothing but one text in the place of a file may make a body long.
func TestABodyIsWeighedWithoutItsFile(t *testing.T) {
	long := strings.Repeat("A", 2*jsonLimit)
	for body, tooMuch := range map[string]bool{
		`{"image":{"base64":"` + long + `"}}`:                                         false,
		`{"image":{"base64" : "` + long + `"},"to":"x"}`:                              false,
		`{"image":{"base64":["` + long + `"]}}`:                                       true,
		`{"text":"\"base64\":\"","caption":"` + long + `"}`:                           true,
		`{"image":{"base64":"A"},"caption":"` + long + `"}`:                           true,
		`{"caption":"` + long + `","image":{"base64":"A"}}`:                           true,
		`{"base64":"` + long:                                                          true,
		`{"text":"` + long + `"}`:                                                     true,
		`{"metadata":{"encoding":"base64"},"document":{"base64":"` + long + `"}}`:     false,
		`{"metadata":{"base64":"A"},"document":{"base64":"` + long + `"}}`:            false,
		`{"metadata":{"base64":"` + long + `"},"document":{"base64":"` + long + `"}}`: true,
		`{"text":"short"}`: false,
		`{"image":{"base64":"` + long + `"},"m":[` + long[:jsonLimit]: true,
	} {
		if got := weighsTooMuch([]byte(body)); got != tooMuch {
			t.Errorf("%.40s…: %v", body, got)
		}
	}
}
