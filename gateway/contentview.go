package gateway

import (
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"portaria/messaging"
)

// The contents of messages as OpenAPI shows them; appendContent writes the same.
type (
	textView struct {
		Body       string `json:"body"`
		PreviewURL bool   `json:"preview_url"`
		contentOptionsView
	}
	mediaContentView struct {
		MediaID  nullable `json:"media_id" description:"For GET /v1/media/{id}; null for a file that a contact sent and that could not be fetched."`
		MIMEType string   `json:"mime_type"`
		Filename nullable `json:"filename"`
		Caption  nullable `json:"caption"`
		Size     int64    `json:"size" description:"In bytes."`
		SHA256   nullable `json:"sha256" description:"Of the bytes, in hex."`
		Voice    bool     `json:"voice" description:"A voice note."`
		contentOptionsView
	}
	locationView struct {
		Latitude  float64  `json:"latitude"`
		Longitude float64  `json:"longitude"`
		Name      nullable `json:"name"`
		Address   nullable `json:"address"`
		contentOptionsView
	}
	contactsView struct {
		Contacts []contactView `json:"contacts" nullable:"false"`
		contentOptionsView
	}
	contactView struct {
		Name         contactNameView    `json:"name"`
		Phones       []contactPhoneView `json:"phones" nullable:"false"`
		Emails       []contactEmailView `json:"emails" nullable:"false"`
		Organization nullable           `json:"organization"`
	}
	contactNameView struct {
		FormattedName string   `json:"formatted_name"`
		FirstName     nullable `json:"first_name"`
		LastName      nullable `json:"last_name"`
	}
	contactPhoneView struct {
		Phone string   `json:"phone"`
		WAID  nullable `json:"wa_id" description:"The number in international form, digits only."`
		Type  nullable `json:"type"`
	}
	contactEmailView struct {
		Email string   `json:"email"`
		Type  nullable `json:"type"`
	}
	pollView struct {
		Question string   `json:"question"`
		Options  []string `json:"options" nullable:"false"`
		Multiple bool     `json:"multiple" description:"More than one may be chosen."`
		contentOptionsView
	}
	reactionView struct {
		Message referenceView `json:"message"`
		Emoji   string        `json:"emoji" description:"Empty: the reaction was taken back."`
		contentOptionsView
	}
	// unknownView is what this version cannot read.
	unknownView struct {
		Unknown bool `json:"unknown"`
		contentOptionsView
	}
	// contentOptionsView are the members that a content has when it needs them.
	contentOptionsView struct {
		ReplyTo  *referenceView `json:"reply_to,omitzero"`
		Mentions []string       `json:"mentions,omitzero" nullable:"false" description:"WhatsApp ids."`
		ViewOnce bool           `json:"view_once,omitzero"`
	}
	// referenceView points at another message of the same instance.
	referenceView struct {
		MessageID   nullable `json:"message_id" description:"Null for a message that is not known here."`
		WAMessageID string   `json:"wa_message_id"`
		Author      nullable `json:"author" description:"The WhatsApp id of who wrote it; null when it was sent by this instance."`
		FromMe      bool     `json:"from_me"`
	}
)

// contentView is the schema of any content.
type contentView struct{ view any }

// MarshalJSONTo implements json.MarshalerTo.
func (v contentView) MarshalJSONTo(encoder *jsontext.Encoder) error {
	return json.MarshalEncode(encoder, v.view)
}

// JSONSchemaAnyOf describes the type in the OpenAPI document.
func (contentView) JSONSchemaAnyOf() []any {
	return []any{textView{}, mediaContentView{}, locationView{}, contactsView{}, pollView{}, reactionView{}, unknownView{}}
}

// contentJSON shows a content inside of another view.
type contentJSON struct{ messaging.Content }

// MarshalJSONTo implements json.MarshalerTo.
func (v contentJSON) MarshalJSONTo(encoder *jsontext.Encoder) error {
	return encoder.WriteValue(appendContent(nil, v.Content))
}

// appendContent writes a content as the API shows it.
func appendContent(b []byte, c messaging.Content) []byte {
	switch c.Kind {
	case messaging.KindText:
		if c.Text == nil {
			return append(b, "null"...)
		}
		b = appendQuoted(append(b, `{"body":`...), c.Text.Body)
		b = appendBool(append(b, `,"preview_url":`...), c.Text.PreviewURL)
	case messaging.KindImage, messaging.KindVideo, messaging.KindAudio, messaging.KindDocument, messaging.KindSticker:
		if c.Media == nil {
			return append(b, "null"...)
		}
		b = appendMedia(b, c.Media)
	case messaging.KindLocation:
		if c.Location == nil {
			return append(b, "null"...)
		}
		b = appendLocation(b, c.Location)
	case messaging.KindContacts:
		b = appendContacts(b, c.Contacts)
	case messaging.KindPoll:
		if c.Poll == nil {
			return append(b, "null"...)
		}
		b = appendPoll(b, c.Poll)
	case messaging.KindReaction:
		if c.Reaction == nil {
			return append(b, "null"...)
		}
		b = appendReference(append(b, `{"message":`...), &c.Reaction.Message)
		b = appendMember(b, `,"emoji":`, c.Reaction.Emoji)
	case messaging.KindUnknown:
		b = append(b, `{"unknown":true`...)
	default:
		return append(b, "null"...)
	}
	return append(appendContentOptions(b, &c), '}')
}

func appendMedia(b []byte, m *messaging.Media) []byte {
	b = appendNullable(append(b, `{"media_id":`...), m.ID)
	b = appendMember(b, `,"mime_type":`, m.MIME)
	b = appendNullable(append(b, `,"filename":`...), m.Filename)
	b = appendNullable(append(b, `,"caption":`...), m.Caption)
	b = strconv.AppendInt(append(b, `,"size":`...), m.Size, 10)
	b = appendNullable(append(b, `,"sha256":`...), m.SHA256)
	return appendBool(append(b, `,"voice":`...), m.Voice)
}

// appendContentOptions writes what only some messages have.
func appendContentOptions(b []byte, c *messaging.Content) []byte {
	if c.ReplyTo != nil {
		b = appendReference(append(b, `,"reply_to":`...), c.ReplyTo)
	}
	for i, id := range c.Mentions {
		if i == 0 {
			b = append(b, `,"mentions":[`...)
		} else {
			b = append(b, ',')
		}
		b = appendQuoted(b, id)
	}
	if len(c.Mentions) > 0 {
		b = append(b, ']')
	}
	if c.ViewOnce {
		b = append(b, `,"view_once":true`...)
	}
	return b
}

func appendReference(b []byte, r *messaging.Reference) []byte {
	b = appendNullable(append(b, `{"message_id":`...), r.MessageID)
	b = appendMember(b, `,"wa_message_id":`, r.WAMessageID)
	b = appendNullable(append(b, `,"author":`...), r.Author)
	return append(appendBool(append(b, `,"from_me":`...), r.FromMe), '}')
}

func appendBool(b []byte, v bool) []byte { return strconv.AppendBool(b, v) }
