package gateway

import (
	"strings"

	"portaria/internal/fault"
	"portaria/messaging"
)

// The contents that are neither text nor a file nor a reaction. Their rules are
// messaging's: rows of bulks are held to them too.
type (
	// locationInput is a place.
	locationInput struct {
		Latitude  *float64 `json:"latitude" required:"true" nullable:"false" minimum:"-90" maximum:"90" description:"In degrees." example:"-23.5614"`
		Longitude *float64 `json:"longitude" required:"true" nullable:"false" minimum:"-180" maximum:"180" description:"In degrees." example:"-46.6559"`
		Name      string   `json:"name,omitzero" maxLength:"255" example:"MASP"`
		Address   string   `json:"address,omitzero" maxLength:"1000" example:"Av. Paulista, 1578 - São Paulo"`
	}
	// contactInput is a person's card.
	contactInput struct {
		Name         nameInput             `json:"name" required:"true" nullable:"false"`
		Phones       shortList[phoneInput] `json:"phones,omitzero" maxItems:"10"`
		Emails       shortList[emailInput] `json:"emails,omitzero" maxItems:"10"`
		Organization string                `json:"organization,omitzero" maxLength:"255"`
	}
	nameInput struct {
		FormattedName string `json:"formatted_name,omitzero" maxLength:"255" description:"What the card is filed under; by default, the first and the last name." example:"Ana Souza"`
		FirstName     string `json:"first_name,omitzero" maxLength:"255" example:"Ana"`
		LastName      string `json:"last_name,omitzero" maxLength:"255" example:"Souza"`
	}
	phoneInput struct {
		Phone string `json:"phone" required:"true" minLength:"1" maxLength:"255" description:"As people write it." example:"+55 11 91234-5678"`
		WAID  string `json:"wa_id,omitzero" pattern:"^([0-9]{5,15})?$" description:"The number in international form, digits only. With it the card opens a chat." example:"5511912345678"`
		Type  string `json:"type,omitzero" pattern:"^[A-Za-z0-9-]{0,32}$" description:"A type of RFC 2426, as CELL, HOME or WORK." example:"CELL"`
	}
	emailInput struct {
		Email string `json:"email" required:"true" minLength:"1" maxLength:"255" example:"ana@example.com"`
		Type  string `json:"type,omitzero" pattern:"^[A-Za-z0-9-]{0,32}$" example:"WORK"`
	}
	// pollInput is a question with answers to choose from.
	pollInput struct {
		Question string            `json:"question" required:"true" minLength:"1" maxLength:"255" example:"When may we deliver?"`
		Options  shortList[string] `json:"options" required:"true" nullable:"false" minItems:"2" maxItems:"12" description:"All different, of 1 to 100 characters." example:"[\"In the morning\",\"In the afternoon\"]"`
		Multiple bool              `json:"multiple,omitzero" description:"More than one may be chosen."`
	}
)

func (l *locationInput) read(fields *fault.Fields) *messaging.Location {
	place := &messaging.Location{Name: l.Name, Address: l.Address}
	if l.Latitude == nil {
		fields.Add("location.latitude", "required", "is required")
	} else {
		place.Latitude = *l.Latitude
	}
	if l.Longitude == nil {
		fields.Add("location.longitude", "required", "is required")
	} else {
		place.Longitude = *l.Longitude
	}
	return place
}

func readContacts(list shortList[contactInput]) []messaging.Contact {
	contacts := make([]messaging.Contact, len(list))
	for i := range list {
		contacts[i] = list[i].read()
	}
	return contacts
}

func (c *contactInput) read() messaging.Contact {
	contact := messaging.Contact{Name: messaging.ContactName(c.Name), Organization: c.Organization}
	if strings.TrimSpace(c.Name.FormattedName) == "" {
		contact.Name.FormattedName = strings.TrimSpace(c.Name.FirstName + " " + c.Name.LastName)
	}
	for _, p := range c.Phones {
		contact.Phones = append(contact.Phones, messaging.ContactPhone(p))
	}
	for _, e := range c.Emails {
		contact.Emails = append(contact.Emails, messaging.ContactEmail(e))
	}
	return contact
}

func (p *pollInput) read() *messaging.Poll {
	return &messaging.Poll{Question: p.Question, Options: p.Options, Multiple: p.Multiple}
}
