package messaging

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
// Text, Media for every kind of file, or Reaction.
type Content struct {
	Kind     Kind
	Text     *Text
	Media    *Media
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
