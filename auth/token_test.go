package auth

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"portaria/messaging"
)

var tokenShape = regexp.MustCompile(`^sk_(live|test)_[0-9A-Za-z]{50}$`)

func TestMintedTokensParse(t *testing.T) {
	seen := make(map[string]bool)
	for _, env := range []messaging.Environment{messaging.Live, messaging.Test} {
		for range 200 {
			token := Mint(env)
			if !tokenShape.MatchString(token.Reveal()) {
				t.Fatalf("minted %q", token.Reveal())
			}
			parsed, err := Parse(token.Reveal())
			if err != nil || parsed != token {
				t.Fatalf("Parse = %v, %v", parsed, err)
			}
			if parsed.Environment() != env || parsed.KeyID() != "key_"+token.Reveal()[8:20] {
				t.Fatalf("parsed as %s %s", parsed.Environment(), parsed.KeyID())
			}
			if seen[token.publicID()] {
				t.Fatal("two tokens have one id")
			}
			seen[token.publicID()] = true
		}
	}
}

// The form is published, so that secret scanners can recognise leaked tokens:
// these checksums were computed with another language's zlib.
func TestChecksumIsCRC32InBase62(t *testing.T) {
	for _, text := range []string{
		"sk_live_000000000000000000000000000000000000000000014Sv28R",
		"sk_test_abcdefghijklABCDEFGHIJKLMNOPQRSTUVWXYZ0123453qawV4",
	} {
		if _, err := Parse(text); err != nil {
			t.Errorf("Parse(%q): %v", text, err)
		}
	}
}

// A typing error must be told apart from a wrong key before any look-up.
func TestOneChangedCharacterIsFound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := []byte(Mint(messaging.Live).Reveal())
		at := rapid.IntRange(0, tokenLen-1).Draw(t, "at")
		c := rapid.Byte().Filter(func(c byte) bool { return c != text[at] }).Draw(t, "c")
		text[at] = c
		if _, err := Parse(string(text)); !errors.Is(err, ErrMalformedToken) {
			t.Fatalf("Parse(%q) = %v", text, err)
		}
	})
}

func TestMalformedTokensAreRefused(t *testing.T) {
	good := Mint(messaging.Test).Reveal()
	for name, text := range map[string]string{
		"empty":             "",
		"prefix alone":      "sk_test_",
		"too short":         good[:57],
		"too long":          good + "0",
		"another prefix":    "pk_test_" + good[8:],
		"upper-case prefix": strings.ToUpper(good[:8]) + good[8:],
		"a space before":    " " + good[:57],
		"not ASCII":         good[:50] + "ção·····",
		"NUL":               good[:57] + "\x00",
	} {
		if _, err := Parse(text); !errors.Is(err, ErrMalformedToken) {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

// A token that slips into a log, an error or an answer must not give its
// secret away, whatever the verb.
func TestTokensRedactThemselves(t *testing.T) {
	token := Mint(messaging.Live)
	text := token.Reveal()
	want := text[:20] + "…" + text[54:]
	if got := token.String(); got != want {
		t.Errorf("String() = %q, want %q", got, want)
	}
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%T %v"} {
		fmt.Fprintf(&out, verb+"\n", token, token)
		fmt.Fprintf(&out, verb+"\n", &token, []Token{token})
		fmt.Fprintf(&out, verb+"\n", struct{ Token Token }{token}, map[string]Token{"a": token})
	}
	slog.New(slog.NewTextHandler(&out, nil)).Info("made", "token", token, "in", struct{ Token Token }{token})
	slog.New(slog.NewJSONHandler(&out, nil)).Info("made", "token", token, "in", struct{ Token Token }{token})
	if err := json.NewEncoder(&out).Encode(map[string]any{"token": token}); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(out.String(), text[20:30]) || strings.Contains(out.String(), fmt.Sprintf("%x", text[20:30])) {
		t.Errorf("the secret is in:\n%s", out.String())
	}
	if got := fmt.Sprint(Token{}); got != "" {
		t.Errorf("the zero token prints %q", got)
	}
}

// A biased alphabet would make secrets easier to guess: 256 is not a multiple
// of 62, so taking bytes modulo 62 prefers the first eight characters by a
// quarter. The bounds are seven standard deviations wide.
func TestMintedCharactersAreFair(t *testing.T) {
	const draws = 62 * 10_000
	count := make(map[byte]int)
	for _, c := range appendRandom(nil, draws) {
		count[c]++
	}
	for i := range len(alphabet) {
		if n := count[alphabet[i]]; n < 9_300 || n > 10_700 {
			t.Errorf("%c was drawn %d times of about 10,000", alphabet[i], n)
		}
	}
}

func TestParseDoesNotAllocate(t *testing.T) {
	text := Mint(messaging.Live).Reveal()
	if n := testing.AllocsPerRun(100, func() { _, _ = Parse(text) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzParse: whatever strangers send, Parse does not panic, and accepts only
// what a mint can have made.
func FuzzParse(f *testing.F) {
	f.Add(Mint(messaging.Live).Reveal())
	f.Add(Mint(messaging.Test).Reveal())
	f.Add("")
	f.Add("sk_live_")
	f.Add("sk_live_\xff" + strings.Repeat("0", 49))
	f.Add("Bearer " + strings.Repeat("z", 51))
	f.Fuzz(func(t *testing.T, text string) {
		token, err := Parse(text)
		if err != nil {
			return
		}
		if !tokenShape.MatchString(text) || token.Reveal() != text {
			t.Fatalf("accepted %q", text)
		}
		if strings.Contains(token.String(), text[20:52]) {
			t.Fatal("String shows the secret")
		}
	})
}
