package gateway

import (
	"github.com/go-json-experiment/json/jsontext"

	"portaria/messaging"
)

// appendLocation writes the members of a location without the closing brace, as
// the others do: what any content may have follows.
func appendLocation(b []byte, l *messaging.Location) []byte {
	b = append(append(b, `{"latitude":`...), jsontext.Float(l.Latitude).String()...)
	b = append(append(b, `,"longitude":`...), jsontext.Float(l.Longitude).String()...)
	b = appendNullable(append(b, `,"name":`...), l.Name)
	return appendNullable(append(b, `,"address":`...), l.Address)
}

func appendContacts(b []byte, contacts []messaging.Contact) []byte {
	b = append(b, `{"contacts":[`...)
	for i := range contacts {
		b = appendContact(appendComma(b, i), &contacts[i])
	}
	return append(b, ']')
}

func appendContact(b []byte, c *messaging.Contact) []byte {
	b = appendMember(b, `{"name":{"formatted_name":`, c.Name.FormattedName)
	b = appendNullable(append(b, `,"first_name":`...), c.Name.FirstName)
	b = appendNullable(append(b, `,"last_name":`...), c.Name.LastName)
	b = append(b, `},"phones":[`...)
	for i, p := range c.Phones {
		b = appendMember(appendComma(b, i), `{"phone":`, p.Phone)
		b = appendNullable(append(b, `,"wa_id":`...), p.WAID)
		b = append(appendNullable(append(b, `,"type":`...), p.Type), '}')
	}
	b = append(b, `],"emails":[`...)
	for i, e := range c.Emails {
		b = appendMember(appendComma(b, i), `{"email":`, e.Email)
		b = append(appendNullable(append(b, `,"type":`...), e.Type), '}')
	}
	return append(appendNullable(append(b, `],"organization":`...), c.Organization), '}')
}

func appendPoll(b []byte, p *messaging.Poll) []byte {
	b = appendMember(b, `{"question":`, p.Question)
	b = append(b, `,"options":[`...)
	for i, option := range p.Options {
		b = appendQuoted(appendComma(b, i), option)
	}
	return appendBool(append(b, `],"multiple":`...), p.Multiple)
}

// appendComma parts the elements of a list.
func appendComma(b []byte, i int) []byte {
	if i == 0 {
		return b
	}
	return append(b, ',')
}
