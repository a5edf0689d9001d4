package gateway

import (
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"portaria/messaging"
)

// messageJSON writes a message as the API shows it. It is the hot path's
// answer and writes its own JSON; messageView describes the same for
// OpenAPI, and a test holds the two together.
type messageJSON struct{ messaging.Message }

func viewMessage(m messaging.Message) messageJSON { return messageJSON{m} }

// messageView is the schema of a message.
type messageView struct {
	ID          string                `json:"id"`
	InstanceID  string                `json:"instance_id"`
	Environment messaging.Environment `json:"environment" enum:"live,test"`
	Direction   messaging.Direction   `json:"direction" enum:"outbound,inbound"`
	From        *addressView          `json:"from" description:"Of an inbound message."`
	To          *addressView          `json:"to" description:"Of an outbound message."`
	Type        messaging.Kind        `json:"type" enum:"text,image,video,audio,document,sticker,location,contacts,poll,reaction,unknown"`
	Content     contentView           `json:"content"`
	Status      messaging.Status      `json:"status" enum:"scheduled,queued,held,sending,sent,delivered,read,played,failed,expired,canceled,received"`
	WAMessageID string                `json:"wa_message_id"`
	Error       *messaging.SendError  `json:"error" description:"Why the message failed, or what delays it."`
	Attempts    int                   `json:"attempts"`
	KeyID       *string               `json:"key_id"`
	BulkID      *string               `json:"bulk_id"`
	Metadata    *map[string]any       `json:"metadata"`
	CreatedAt   timestamp             `json:"created_at"`
	SendAt      timestamp             `json:"send_at"`
	SentAt      timestamp             `json:"sent_at"`
	DeliveredAt timestamp             `json:"delivered_at"`
	ReadAt      timestamp             `json:"read_at"`
	FailedAt    timestamp             `json:"failed_at"`
	EditedAt    timestamp             `json:"edited_at,omitzero" description:"When its author last changed it; absent if never."`
	RevokedAt   timestamp             `json:"revoked_at,omitzero" description:"When its author deleted it for everyone; absent if never."`
}

// appendJSON implements appender.
func (v messageJSON) appendJSON(b []byte) []byte {
	m := &v.Message
	b = appendMember(append(b, '{'), `"id":`, m.ID)
	b = appendMember(b, `,"instance_id":`, m.InstanceID)
	b = appendMember(b, `,"environment":`, string(m.Environment))
	b = appendMember(b, `,"direction":`, string(m.Direction))
	b = appendPeer(b, m)
	b = appendMember(b, `,"type":`, string(m.Content.Kind))
	b = appendContent(append(b, `,"content":`...), m.Content)
	b = appendMember(b, `,"status":`, string(m.Status))
	b = appendMember(b, `,"wa_message_id":`, m.WAMessageID)
	b = appendSendError(append(b, `,"error":`...), m.Error)
	b = strconv.AppendInt(append(b, `,"attempts":`...), int64(m.Attempts), 10)
	b = appendNullable(append(b, `,"key_id":`...), m.KeyID)
	b = appendNullable(append(b, `,"bulk_id":`...), m.BulkID)
	b = append(b, `,"metadata":`...)
	if len(m.Metadata) > 0 {
		b = append(b, m.Metadata...)
	} else {
		b = append(b, "null"...)
	}
	b = appendTime(append(b, `,"created_at":`...), m.CreatedAt)
	b = appendTime(append(b, `,"send_at":`...), m.SendAt)
	b = appendTime(append(b, `,"sent_at":`...), m.SentAt)
	b = appendTime(append(b, `,"delivered_at":`...), m.DeliveredAt)
	b = appendTime(append(b, `,"read_at":`...), m.ReadAt)
	b = appendTime(append(b, `,"failed_at":`...), m.FailedAt)
	if !m.EditedAt.IsZero() {
		b = appendTime(append(b, `,"edited_at":`...), m.EditedAt)
	}
	if !m.RevokedAt.IsZero() {
		b = appendTime(append(b, `,"revoked_at":`...), m.RevokedAt)
	}
	return append(b, '}')
}

// MarshalJSONTo implements json.MarshalerTo, for messages inside of others.
func (v messageJSON) MarshalJSONTo(encoder *jsontext.Encoder) error {
	return encoder.WriteValue(v.appendJSON(nil))
}

func appendMember(b []byte, name, value string) []byte {
	return appendQuoted(append(b, name...), value)
}

// appendPeer writes who sent an inbound message, or who receives an outbound
// one.
func appendPeer(b []byte, m *messaging.Message) []byte {
	if m.Direction == messaging.Inbound {
		return append(appendAddress(append(b, `,"from":`...), m.Peer), `,"to":null`...)
	}
	return appendAddress(append(b, `,"from":null,"to":`...), m.Peer)
}

func appendAddress(b []byte, a messaging.Address) []byte {
	b = appendMember(b, `{"input":`, a.Input)
	return append(appendMember(b, `,"wa_id":`, a.WAID), '}')
}

func appendSendError(b []byte, e *messaging.SendError) []byte {
	if e == nil {
		return append(b, "null"...)
	}
	b = appendMember(b, `{"code":`, e.Code)
	return append(appendMember(b, `,"message":`, e.Message), '}')
}
