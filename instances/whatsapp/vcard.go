package whatsapp

import (
	"cmp"
	"slices"
	"strings"

	"github.com/emersion/go-vcard"
	"go.mau.fi/whatsmeow/proto/waE2E"

	"portaria/messaging"
)

// composeContacts makes one card, or a list of them. The list is named after its
// first.
func composeContacts(contacts []messaging.Contact, info *waE2E.ContextInfo) *waE2E.Message {
	cards := make([]*waE2E.ContactMessage, len(contacts))
	for i := range contacts {
		text := writeCard(&contacts[i])
		cards[i] = &waE2E.ContactMessage{DisplayName: &contacts[i].Name.FormattedName, Vcard: &text}
	}
	if len(cards) == 1 {
		cards[0].ContextInfo = info
		return &waE2E.Message{ContactMessage: cards[0]}
	}
	return &waE2E.Message{ContactsArrayMessage: &waE2E.ContactsArrayMessage{
		DisplayName: cards[0].DisplayName, Contacts: cards, ContextInfo: info,
	}}
}

// contactsOf reads one card or a list of them; false when there are none.
func contactsOf(m *waE2E.Message) (messaging.Content, bool) {
	cards, info := m.GetContactsArrayMessage().GetContacts(), m.GetContactsArrayMessage().GetContextInfo()
	if one := m.ContactMessage; one != nil {
		cards, info = []*waE2E.ContactMessage{one}, one.ContextInfo
	}
	c := messaging.Content{Kind: messaging.KindContacts}
	for _, card := range cards {
		c.Contacts = append(c.Contacts, readCard(card.GetVcard(), card.GetDisplayName()))
	}
	refer(&c, info)
	return c, len(c.Contacts) > 0
}

// escaper makes a text a value of a vCard (RFC 2426, section 4).
var escaper = strings.NewReplacer(`\`, `\\`, ";", `\;`, ",", `\,`, "\r\n", `\n`, "\r", `\n`, "\n", `\n`)

// writeCard writes a vCard 3.0, with line feeds alone and a number's waid as
// WhatsApp's apps write them. The library is for reading: it leaves semicolons
// within the parts of a name as they are.
func writeCard(c *messaging.Contact) string {
	first, last := c.Name.FirstName, c.Name.LastName
	if first == "" && last == "" {
		first = c.Name.FormattedName
	}
	var b strings.Builder
	b.WriteString("BEGIN:VCARD\nVERSION:3.0\n")
	b.WriteString("N:" + escaper.Replace(last) + ";" + escaper.Replace(first) + ";;;\n")
	b.WriteString("FN:" + escaper.Replace(c.Name.FormattedName) + "\n")
	if c.Organization != "" {
		b.WriteString("ORG:" + escaper.Replace(c.Organization) + "\n")
	}
	for _, p := range c.Phones {
		b.WriteString("TEL" + parameter("type", p.Type) + parameter("waid", p.WAID) + ":" + escaper.Replace(p.Phone) + "\n")
	}
	for _, e := range c.Emails {
		b.WriteString("EMAIL" + parameter("type", e.Type) + ":" + escaper.Replace(e.Email) + "\n")
	}
	b.WriteString("END:VCARD")
	return b.String()
}

// parameter writes a parameter, whose value is a name or a number: all else is
// left out of it.
func parameter(name, value string) string {
	value = strings.Map(func(r rune) rune {
		if (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' {
			return -1
		}
		return r
	}, value)
	if value == "" {
		return ""
	}
	return ";" + name + "=" + value
}

// unfolder joins lines that were folded, in one go: cards of strangers may have
// a fold behind every letter. The library undoes only some escapes, and before
// the parts of a name can be told; with every backslash doubled it gives values
// as they stand.
var unfolder = strings.NewReplacer("\r\n ", "", "\r\n\t", "", "\n ", "", "\n\t", "", `\`, `\\`)

// readCard reads what a vCard says, as far as it can be read; it is filed under
// displayName when it has no name of its own.
func readCard(text, displayName string) messaging.Contact {
	// An error says that the end is missing, or that it is no card; what was read
	// until then counts.
	card, _ := vcard.NewDecoder(strings.NewReader(unfolder.Replace(text))).Decode()
	var c messaging.Contact
	if name := valuesOf(card, vcard.FieldName); len(name) > 0 {
		c.Name.LastName = name[0]
		if len(name) > 1 {
			c.Name.FirstName = name[1]
		}
	}
	whole := strings.TrimSpace(c.Name.FirstName + " " + c.Name.LastName)
	if formatted := card.Get(vcard.FieldFormattedName); formatted != nil {
		whole = cmp.Or(unescaped(formatted.Value), whole)
	}
	c.Name.FormattedName = cmp.Or(whole, displayName)
	if organization := valuesOf(card, vcard.FieldOrganization); len(organization) > 0 {
		c.Organization = organization[0]
	}
	labels := labelsOf(card)
	for _, f := range card[vcard.FieldTelephone] {
		if phone := unescaped(f.Value); phone != "" {
			c.Phones = append(c.Phones, messaging.ContactPhone{Phone: phone, WAID: numberIn(f.Params.Get("WAID")), Type: typeOf(f, labels)})
		}
	}
	for _, f := range card[vcard.FieldEmail] {
		if email := unescaped(f.Value); email != "" {
			c.Emails = append(c.Emails, messaging.ContactEmail{Email: email, Type: typeOf(f, labels)})
		}
	}
	return c
}

// valuesOf parts a structured value at its semicolons.
func valuesOf(card vcard.Card, field string) []string {
	f := card.Get(field)
	if f == nil {
		return nil
	}
	var parts []string
	from := 0
	for i := 0; i < len(f.Value); i++ {
		switch f.Value[i] {
		case '\\':
			i++ // what follows stands for itself
		case ';':
			parts = append(parts, unescaped(f.Value[from:i]))
			from = i + 1
		}
	}
	return append(parts, unescaped(f.Value[from:]))
}

// unescaped is the text of a value.
func unescaped(value string) string {
	if !strings.Contains(value, `\`) {
		return value
	}
	var b strings.Builder
	for i := 0; i < len(value); i++ {
		if value[i] != '\\' || i+1 == len(value) {
			b.WriteByte(value[i])
			continue
		}
		i++
		if value[i] == 'n' || value[i] == 'N' {
			b.WriteByte('\n')
		} else {
			b.WriteByte(value[i])
		}
	}
	return b.String()
}

// labelsOf returns what the groups of a card are called: Apple's way to say the
// type of an entry, which WhatsApp's apps use too. A long label is none: it would
// be written with each of many entries.
func labelsOf(card vcard.Card) map[string]string {
	labels := make(map[string]string)
	for _, f := range card["X-ABLABEL"] {
		label := strings.TrimSuffix(strings.TrimPrefix(unescaped(f.Value), "_$!<"), ">!$_")
		if len(label) <= messaging.MaxContactType {
			labels[f.Group] = label
		}
	}
	return labels
}

// typeOf returns the type of an entry that tells it from others.
func typeOf(f *vcard.Field, labels map[string]string) string {
	telling := slices.DeleteFunc(slices.Clone(f.Params[vcard.ParamType]), func(t string) bool {
		return slices.Contains([]string{"", "VOICE", "PREF", "INTERNET"}, strings.ToUpper(t))
	})
	if len(telling) > 0 {
		return strings.ToUpper(telling[0])
	}
	if f.Group == "" {
		return ""
	}
	return labels[f.Group]
}

// numberIn returns a text that is a number, and else nothing.
func numberIn(text string) string {
	if strings.Trim(text, "0123456789") != "" {
		return ""
	}
	return text
}
