package whatsapp

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.mau.fi/whatsmeow/proto/waE2E"
	"pgregory.net/rapid"

	"portaria/messaging"
)

// Whatever a card says is read back as it was written, however it looks like the
// signs that part it.
func TestCardsReadBackAsTheyWereWritten(t *testing.T) {
	text := rapid.OneOf(
		rapid.StringMatching(`[a-zé \\;:,="\n.\-+]{1,12}`),
		rapid.SampledFrom([]string{`a\`, `\;`, "END:VCARD", "a\nTEL:1", "TEL;waid=1:2", "👍", `"`, "x.y:z", `\\n`}),
	)
	word := rapid.StringMatching(`|CELL|WORK|X-HOME`)
	rapid.Check(t, func(t *rapid.T) {
		c := messaging.Contact{
			Name:         messaging.ContactName{FormattedName: text.Draw(t, "name"), FirstName: text.Draw(t, "first"), LastName: text.Draw(t, "last")},
			Organization: text.Draw(t, "organization"),
		}
		for range rapid.IntRange(0, 3).Draw(t, "phones") {
			c.Phones = append(c.Phones, messaging.ContactPhone{
				Phone: text.Draw(t, "phone"), WAID: rapid.StringMatching(`|[0-9]{8}`).Draw(t, "wa id"), Type: word.Draw(t, "type"),
			})
		}
		for range rapid.IntRange(0, 2).Draw(t, "emails") {
			c.Emails = append(c.Emails, messaging.ContactEmail{Email: text.Draw(t, "email"), Type: word.Draw(t, "type")})
		}
		written := writeCard(&c)
		if diff := cmp.Diff(c, readCard(written, "nobody"), cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("%s\n%s", written, diff)
		}
	})
}

// What other programs write is read, too.
func TestCardsOfOthersAreRead(t *testing.T) {
	for name, c := range map[string]struct {
		card string
		want messaging.Contact
	}{
		"Google": {
			"BEGIN:VCARD\r\nVERSION:3.0\r\nN:Bloggs;Joe;;;\r\nFN:Joe Bloggs\r\nEMAIL;TYPE=INTERNET;TYPE=HOME:me@joebloggs.com\r\n" +
				"TEL;TYPE=CELL:+44 20 1234 5678\r\nitem1.URL:http\\://joebloggs.com\r\nEND:VCARD\r\n",
			messaging.Contact{
				Name:   messaging.ContactName{FormattedName: "Joe Bloggs", FirstName: "Joe", LastName: "Bloggs"},
				Phones: []messaging.ContactPhone{{Phone: "+44 20 1234 5678", Type: "CELL"}}, Emails: []messaging.ContactEmail{{Email: "me@joebloggs.com", Type: "HOME"}},
			},
		},
		"Apple": {
			"BEGIN:VCARD\nVERSION:3.0\nN:Bloggs;Joe;;;\nORG:Bloggs Ltd.;Sales\nitem1.TEL;type=pref:+44 1\nitem1.X-ABLabel:_$!<HomeFAX>!$_\nEND:VCARD",
			messaging.Contact{
				Name:         messaging.ContactName{FormattedName: "Joe Bloggs", FirstName: "Joe", LastName: "Bloggs"},
				Phones:       []messaging.ContactPhone{{Phone: "+44 1", Type: "HomeFAX"}},
				Organization: "Bloggs Ltd.",
			},
		},
		"quoted parameters": {
			"BEGIN:VCARD\nVERSION:4.0\nFN:Joe\nTEL;TYPE=\"work,cell\";WAID=44x:1\nTEL:\nTEL\nEND:VCARD",
			messaging.Contact{Name: messaging.ContactName{FormattedName: "Joe"}, Phones: []messaging.ContactPhone{{Phone: "1", Type: "WORK"}}},
		},
		"a long label": {
			"BEGIN:VCARD\nFN:Joe\nx.TEL:1\nx.TEL:2\nx.X-ABLabel:" + strings.Repeat("a", 1000) + "\nEND:VCARD",
			messaging.Contact{Name: messaging.ContactName{FormattedName: "Joe"}, Phones: []messaging.ContactPhone{{Phone: "1"}, {Phone: "2"}}},
		},
		"nothing":       {"", messaging.Contact{Name: messaging.ContactName{FormattedName: "shown"}}},
		"an empty card": {"BEGIN:VCARD\nFN:\nN:;;;;\nEND:VCARD", messaging.Contact{Name: messaging.ContactName{FormattedName: "shown"}}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, readCard(c.card, "shown")); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// A card of a megabyte that is folded behind every letter is read in no time: a
// reader that copies what it has with every fold would take minutes.
func TestAFoldedCardIsReadInOneGo(t *testing.T) {
	card := "BEGIN:VCARD\nFN:" + strings.Repeat("a\n ", 1<<20) + "\nEND:VCARD"
	began := time.Now()
	if got := len(readCard(card, "").Name.FormattedName); got != 1<<20 {
		t.Errorf("the name has %d letters", got)
	}
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("it took %s", took)
	}
}

// Strangers send any card. It is read as far as it goes, and never grows.
func FuzzReadCard(f *testing.F) {
	for _, seed := range []string{
		"BEGIN:VCARD\nVERSION:3.0\nN:a;b;;;\nFN:a\\, b\nTEL;type=CELL;waid=55:1\nEND:VCARD", "BEGIN:VCARD\nitem1.TEL:1\nitem1.X-ABLabel:_$!<a>!$_",
		"BEGIN:VCARD\nN:\\", "BEGIN:VCARD\nTEL;a=\"\\u00e9\":1\nTEL;=;:\n", "BEGIN:x", ";:", "BEGIN:VCARD\nFN:a\n\tb\r\n c\nEMAIL;TYPE=,,:\xff\x00",
	} {
		f.Add(seed, "shown")
	}
	f.Fuzz(func(t *testing.T, card, shown string) {
		m := &waE2E.Message{ContactMessage: &waE2E.ContactMessage{Vcard: &card, DisplayName: &shown}}
		content, _, ok := contentOf(m)
		if !ok || content.Kind != messaging.KindContacts || len(content.Contacts) != 1 {
			t.Fatalf("%q was read as %+v", card, content)
		}
		size := 0
		content = plainContent(content)
		for _, text := range content.Texts() {
			if size += len(*text); !utf8.ValidString(*text) || strings.ContainsRune(*text, 0) {
				t.Fatalf("%q was read as %q", card, *text)
			}
		}
		// A first and a last name come once more as the formatted one; a byte that is
		// none becomes three.
		if size > 3*(2*len(card)+len(shown))+1 {
			t.Fatalf("%d bytes were read as %d", len(card), size)
		}
		again := readCard(writeCard(&content.Contacts[0]), "")
		if again.Name.FormattedName != strings.ReplaceAll(strings.ReplaceAll(content.Contacts[0].Name.FormattedName, "\r\n", "\n"), "\r", "\n") &&
			content.Contacts[0].Name.FormattedName != "" {
			t.Fatalf("%q became %q", content.Contacts[0].Name, again.Name)
		}
	})
}
