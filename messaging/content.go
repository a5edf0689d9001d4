package messaging

import "slices"

// Kind is the type of a message's content.
type Kind string

// The kinds of content.
const (
	KindText     Kind = "text"
	KindImage    Kind = "image"
	KindVideo    Kind = "video"
	KindAudio    Kind = "audio" // a voice note when Media.Voice
	KindDocument Kind = "document"
	KindSticker  Kind = "sticker"
	KindLocation Kind = "location"
	KindContacts Kind = "contacts"
	KindPoll     Kind = "poll"
	KindReaction Kind = "reaction"
	// KindUnknown is an inbound message that this version cannot read. It is
	// recorded all the same: nothing that a contact wrote goes by unseen.
	KindUnknown Kind = "unknown"
)

// IsMedia reports whether a content of this kind is a file.
func (k Kind) IsMedia() bool {
	switch k { //nolint:exhaustive // the others have no file
	case KindImage, KindVideo, KindAudio, KindDocument, KindSticker:
		return true
	default:
		return false
	}
}

// Content is what a message says. Exactly the field that Kind names is set:
// Media for every kind of file.
type Content struct {
	Kind     Kind
	Text     *Text
	Media    *Media
	Location *Location
	Contacts []Contact // at least one
	Poll     *Poll
	Reaction *Reaction

	ReplyTo  *Reference // the message that this one answers
	Mentions []string   // WhatsApp ids of those who are mentioned
	ViewOnce bool
}

// Text is the content of a text message: 1 to 65,536 bytes of UTF-8.
type Text struct {
	Body       string `json:"body"`
	PreviewURL bool   `json:"preview_url,omitempty"`
}

// MaxTextBytes is the longest text body that is accepted. WhatsApp itself
// shows up to 65,536 characters.
const MaxTextBytes = 65536

// Media is a file in a message. The bytes are kept under ID.
type Media struct {
	ID       string `json:"media_id"`
	MIME     string `json:"mime_type"`
	Filename string `json:"filename,omitempty"`
	Caption  string `json:"caption,omitempty"`
	Size     int64  `json:"size"`
	SHA256   string `json:"sha256"`         // of the bytes, in hex
	Voice    bool   `json:"voice,omitzero"` // audio that was recorded, not a file of music
}

// Location is a place.
type Location struct {
	Latitude  float64 `json:"latitude"`  // degrees, -90 to 90
	Longitude float64 `json:"longitude"` // degrees, -180 to 180
	Name      string  `json:"name,omitzero"`
	Address   string  `json:"address,omitzero"`
}

// Contact is a person's card. Its members are those of the WhatsApp Cloud API.
type Contact struct {
	Name         ContactName    `json:"name"`
	Phones       []ContactPhone `json:"phones,omitempty"`
	Emails       []ContactEmail `json:"emails,omitempty"`
	Organization string         `json:"organization,omitzero"`
}

// ContactName is what a card is filed under.
type ContactName struct {
	FormattedName string `json:"formatted_name"`
	FirstName     string `json:"first_name,omitzero"`
	LastName      string `json:"last_name,omitzero"`
}

// ContactPhone is a number on a card.
type ContactPhone struct {
	Phone string `json:"phone"`          // as people write it
	WAID  string `json:"wa_id,omitzero"` // digits; makes the card open a chat
	Type  string `json:"type,omitzero"`  // as CELL, HOME, WORK
}

// ContactEmail is an e-mail address on a card.
type ContactEmail struct {
	Email string `json:"email"`
	Type  string `json:"type,omitzero"`
}

// Poll is a question with answers to choose from.
type Poll struct {
	Question string   `json:"question"`
	Options  []string `json:"options"`           // 2 to 12, all different
	Multiple bool     `json:"multiple,omitzero"` // more than one may be chosen
}

// Texts returns the texts of a content that people read, to be read or replaced:
// what a bulk's placeholders may stand in. Copy the content first (Clone) if it
// is shared.
func (c *Content) Texts() []*string {
	var texts []*string
	if c.Text != nil {
		texts = append(texts, &c.Text.Body)
	}
	if c.Media != nil {
		texts = append(texts, &c.Media.Caption, &c.Media.Filename)
	}
	if c.Location != nil {
		texts = append(texts, &c.Location.Name, &c.Location.Address)
	}
	for i := range c.Contacts {
		texts = append(texts, c.Contacts[i].texts()...)
	}
	if c.Poll != nil {
		texts = append(texts, &c.Poll.Question)
		for i := range c.Poll.Options {
			texts = append(texts, &c.Poll.Options[i])
		}
	}
	return texts
}

func (c *Contact) texts() []*string {
	texts := []*string{&c.Name.FormattedName, &c.Name.FirstName, &c.Name.LastName, &c.Organization}
	for i := range c.Phones {
		texts = append(texts, &c.Phones[i].Phone)
	}
	for i := range c.Emails {
		texts = append(texts, &c.Emails[i].Email)
	}
	return texts
}

// Clone returns a copy that shares no text with the content.
func (c *Content) Clone() Content {
	d := *c
	d.Text, d.Media, d.Location, d.Poll, d.Reaction = copied(c.Text), copied(c.Media), copied(c.Location), copied(c.Poll), copied(c.Reaction)
	d.Contacts = slices.Clone(c.Contacts)
	for i := range d.Contacts {
		d.Contacts[i].Phones = slices.Clone(d.Contacts[i].Phones)
		d.Contacts[i].Emails = slices.Clone(d.Contacts[i].Emails)
	}
	if d.Poll != nil {
		d.Poll.Options = slices.Clone(d.Poll.Options)
	}
	return d
}

func copied[T any](p *T) *T {
	if p == nil {
		return nil
	}
	v := *p
	return &v
}

// Reaction is an emoji on a message; an empty one takes it back.
type Reaction struct {
	Message Reference `json:"message"`
	Emoji   string    `json:"emoji"`
}

// Reference points at another message of the same instance.
type Reference struct {
	MessageID   string `json:"message_id,omitempty"` // ours, when we know the message
	WAMessageID string `json:"wa_message_id"`
	Author      string `json:"author,omitempty"` // the WhatsApp id of who wrote it
	FromMe      bool   `json:"from_me,omitzero"`
}

// MediaInfo is a stored file.
type MediaInfo struct {
	ID          string
	WorkspaceID string
	Environment Environment
	InstanceID  string // of an inbound file; empty: uploaded, of the key lineage below
	Lineage     string
	MIME        string
	Filename    string
	Size        int64
	SHA256      string // of the bytes, in hex
}
