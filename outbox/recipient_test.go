package outbox_test

import (
	"errors"
	"testing"

	"portaria/outbox"
)

func TestRecipientsAreReadAsPeopleWriteThem(t *testing.T) {
	for input, want := range map[string]string{
		"+55 11 91234-5678":             "5511912345678@s.whatsapp.net",
		"5511912345678":                 "5511912345678@s.whatsapp.net",
		"551112345678":                  "551112345678@s.whatsapp.net", // the ninth digit is never guessed
		" +1 (500) 555-0006 ":           "15005550006@s.whatsapp.net",
		"+1.500.555.0006":               "15005550006@s.whatsapp.net",
		"15005550006@s.whatsapp.net":    "15005550006@s.whatsapp.net",
		"15005550006@c.us":              "15005550006@s.whatsapp.net",
		"120363025246125486@g.us":       "120363025246125486@g.us",
		"5511912345678-1609459200@g.us": "5511912345678-1609459200@g.us",
		"236395184570386@lid":           "236395184570386@lid",
		"120363144038483540@newsletter": "120363144038483540@newsletter",
	} {
		got, err := outbox.ParseRecipient(input)
		if err != nil || got.WAID != want || got.Input != input {
			t.Errorf("ParseRecipient(%q) = %+v, %v; want %s", input, got, err, want)
		}
	}
}

func TestImpossibleRecipientsAreRefused(t *testing.T) {
	for _, input := range []string{
		"", " ", "+", "abc", "123", "+0", "+999999999999999999", "+55 11 9123", "++5511912345678", "5511912345678x",
		"+1500555000612345", "@s.whatsapp.net", "x@s.whatsapp.net", "1@g.us", "5511912345678@evil.example",
		"15005550006@s.whatsapp.net@g.us", "５５１１９１２３４５６７８", "+55\x0011912345678", "status@broadcast",
	} {
		if got, err := outbox.ParseRecipient(input); !errors.Is(err, outbox.ErrInvalidRecipient) {
			t.Errorf("ParseRecipient(%q) = %+v, %v; want INVALID_RECIPIENT", input, got, err)
		}
	}
}

// Whatever strangers send as `to`, what is accepted reads back as itself.
func FuzzParseRecipient(f *testing.F) {
	for _, s := range []string{"+55 11 91234-5678", "15005550006@c.us", "120363025246125486@g.us", "1-2@g.us", "@", "+"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, err := outbox.ParseRecipient(s)
		if err != nil {
			return
		}
		again, err := outbox.ParseRecipient(a.WAID)
		if err != nil || again.WAID != a.WAID {
			t.Errorf("%q became %q, which reads as %q, %v", s, a.WAID, again.WAID, err)
		}
	})
}

func BenchmarkParseRecipient(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := outbox.ParseRecipient("+12025550142"); err != nil {
			b.Fatal(err)
		}
	}
}
