package messaging

import (
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"portaria/internal/fault"
)

// What a content that is sent holds at most; lengths are in characters. Those of
// polls are what WhatsApp's own apps let people write.
const (
	MaxPlaceName      = 255
	MaxPlaceAddress   = 1000
	MaxContacts       = 20
	MaxContactEntries = 10 // phones, and as many e-mail addresses
	MaxContactText    = 255
	MaxContactType    = 32
	MaxPollQuestion   = 255
	MinPollOptions    = 2
	MaxPollOptions    = 12
	MaxPollOption     = 100
)

// Check notes what keeps a location, a list of contacts or a poll from being
// sent, under the names that the API has for its members. Other contents have
// rules that depend on how they came; they pass. A text may hold placeholders:
// a row of a bulk is checked again once they are filled in.
func (c *Content) Check(fields *fault.Fields) {
	switch {
	case c.Location != nil:
		c.Location.check(fields)
	case c.Kind == KindContacts:
		checkContacts(c.Contacts, fields)
	case c.Poll != nil:
		c.Poll.check(fields)
	}
}

// Valid reports whether there is such a place on earth.
func (l *Location) Valid() bool { return within(l.Latitude, 90) && within(l.Longitude, 180) }

// within reports whether an angle is one of at most so many degrees to either
// side. NaN is none.
func within(angle, most float64) bool { return angle >= -most && angle <= most }

func (l *Location) check(fields *fault.Fields) {
	if !within(l.Latitude, 90) {
		fields.Add("location.latitude", "range", "must lie between -90 and 90")
	}
	if !within(l.Longitude, 180) {
		fields.Add("location.longitude", "range", "must lie between -180 and 180")
	}
	checkLength("location.name", l.Name, MaxPlaceName, fields)
	checkLength("location.address", l.Address, MaxPlaceAddress, fields)
}

func checkContacts(contacts []Contact, fields *fault.Fields) {
	if len(contacts) == 0 || len(contacts) > MaxContacts {
		fields.Add("contacts", "length", "must have 1 to 20 entries")
		return
	}
	for i := range contacts {
		contacts[i].check("contacts["+strconv.Itoa(i)+"]", fields)
	}
}

func (c *Contact) check(at string, fields *fault.Fields) {
	checkText(at+".name.formatted_name", c.Name.FormattedName, MaxContactText, fields)
	checkLength(at+".name.first_name", c.Name.FirstName, MaxContactText, fields)
	checkLength(at+".name.last_name", c.Name.LastName, MaxContactText, fields)
	checkLength(at+".organization", c.Organization, MaxContactText, fields)
	for _, list := range []struct {
		name string
		size int
	}{{".phones", len(c.Phones)}, {".emails", len(c.Emails)}} {
		if list.size > MaxContactEntries {
			fields.Add(at+list.name, "length", "must not have more than 10 entries")
			return
		}
	}
	for i, p := range c.Phones {
		phone := at + ".phones[" + strconv.Itoa(i) + "]"
		checkText(phone+".phone", p.Phone, MaxContactText, fields)
		if p.WAID != "" && !isNumber(p.WAID) {
			fields.Add(phone+".wa_id", "format", "must be a number in international form, digits only")
		}
		checkType(phone+".type", p.Type, fields)
	}
	for i, e := range c.Emails {
		email := at + ".emails[" + strconv.Itoa(i) + "]"
		checkText(email+".email", e.Email, MaxContactText, fields)
		checkType(email+".type", e.Type, fields)
	}
}

// isNumber reports whether a text can be the digits of a phone number: E.164 has
// 15 at most.
func isNumber(s string) bool {
	return len(s) >= 5 && len(s) <= 15 && strings.Trim(s, "0123456789") == ""
}

// checkType checks a type of a card's entry, which stands among the parameters
// of a vCard: a name of RFC 2426, as CELL.
func checkType(field, s string, fields *fault.Fields) {
	notName := func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-'
	}
	if len(s) > MaxContactType || strings.ContainsFunc(s, notName) {
		fields.Add(field, "format", "must be of at most 32 letters, digits and hyphens, as CELL")
	}
}

func (p *Poll) check(fields *fault.Fields) {
	checkText("poll.question", p.Question, MaxPollQuestion, fields)
	if len(p.Options) < MinPollOptions || len(p.Options) > MaxPollOptions {
		fields.Add("poll.options", "length", "must have 2 to 12 entries")
		return
	}
	for i, option := range p.Options {
		at := "poll.options[" + strconv.Itoa(i) + "]"
		checkText(at, option, MaxPollOption, fields)
		same := func(other string) bool { return strings.TrimSpace(other) == strings.TrimSpace(option) }
		if strings.TrimSpace(option) != "" && slices.ContainsFunc(p.Options[:i], same) {
			fields.Add(at, "repeated", "appears more than once")
		}
	}
}

// checkText checks a text that must be there.
func checkText(field, s string, longest int, fields *fault.Fields) {
	if strings.TrimSpace(s) == "" {
		fields.Add(field, "required", "must not be empty")
		return
	}
	checkLength(field, s, longest, fields)
}

func checkLength(field, s string, longest int, fields *fault.Fields) {
	if len(s) > longest && utf8.RuneCountInString(s) > longest {
		fields.Add(field, "max_length", "must have at most "+strconv.Itoa(longest)+" characters")
	}
}
