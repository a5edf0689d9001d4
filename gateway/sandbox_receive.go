package gateway

import (
	"context"

	"portaria/internal/fault"
	"portaria/media"
	"portaria/messaging"
)

// receiveContent has a contact write a message.
func (s *Server) receiveContent(ctx context.Context, call *Call, to messaging.TestInstance, req *receiveMessage) (inboundView, error) {
	content := req.content.Clone()
	var err error
	if req.ReplyTo != "" {
		if content.ReplyTo, err = s.inboundReference(ctx, call, req.from, req.ReplyTo, "reply_to"); err != nil {
			return inboundView{}, err
		}
	}
	if content.Reaction != nil {
		target, err := s.inboundReference(ctx, call, req.from, req.Reaction.MessageID, "reaction.message_id")
		if err != nil {
			return inboundView{}, err
		}
		content.Reaction.Message = *target
	}
	var kept *messaging.MediaInfo
	if req.file != nil {
		if kept, err = s.attachInbound(ctx, call, req.file, content.Media); err != nil {
			return inboundView{}, err
		}
	}
	m, err := s.contacts.Receive(ctx, to, req.from, content)
	if err != nil {
		s.dropUnused(ctx, kept, err)
		return inboundView{}, err
	}
	return inboundView{message: m}, nil
}

// inboundReference points at a message that a contact answers or reacts to. It
// must be one of the chat in which the contact writes.
func (s *Server) inboundReference(ctx context.Context, call *Call, from messaging.Address, id, field string) (*messaging.Reference, error) {
	m, err := s.referred(ctx, call, id, field)
	if err != nil {
		return nil, err
	}
	if !m.In(from) {
		return nil, fault.Fields{{Field: field, Rule: "not_found", Message: "is not a message of the chat in which from writes"}}.Err()
	}
	return referenceTo(&m), nil
}

// amend has a contact change a message, or delete it for everyone. It answers
// the message as it stands then.
func (s *Server) amend(ctx context.Context, call *Call, to messaging.TestInstance, req *receiveMessage) (inboundView, error) {
	m, err := s.referred(ctx, call, req.MessageID, "message_id")
	if err != nil {
		return inboundView{}, err
	}
	var wrong fault.Fields
	if m.Direction != messaging.Inbound {
		wrong.Add("message_id", "requires", "is not a message that a contact sent")
	} else if req.from.WAID != "" && req.from.WAID != m.Peer.WAID {
		wrong.Add("from", "requires", "is not who wrote the message")
	}
	content := req.editOf(&m, &wrong)
	if err := wrong.Err(); err != nil {
		return inboundView{}, err
	}
	if req.Type == contactRevokes {
		err = s.contacts.ReceiveRevoke(ctx, to, &m)
	} else {
		err = s.contacts.ReceiveEdit(ctx, to, &m, content)
	}
	if err != nil {
		return inboundView{}, err
	}
	m, err = s.reader.Message(ctx, call.Tenancy, m.ID)
	return inboundView{message: m}, err
}

// editOf returns what a message says after an edit.
func (r *receiveMessage) editOf(m *messaging.Message, wrong *fault.Fields) messaging.Content {
	if r.Type != contactEdits {
		return m.Content
	}
	edit, member := messaging.Edit{Caption: r.Caption}, "caption"
	if r.Text != nil {
		edit, member = messaging.Edit{Text: &messaging.Text{Body: r.Text.Body, PreviewURL: r.Text.PreviewURL}}, "text"
	}
	content, ok := m.Amended(edit)
	if !ok {
		wrong.Add(member, "requires", "is nothing that this message can be edited to; it is of type "+string(m.Content.Kind))
	}
	return content
}

// attachInbound brings the file of a contact's message. As of live messages, it
// is the instance's and nobody's own: messages:read opens it. kept is the file
// when it was stored for this message alone.
func (s *Server) attachInbound(ctx context.Context, call *Call, file *mediaInput, content *messaging.Media) (kept *messaging.MediaInfo, err error) {
	if file.MediaID != "" {
		return s.copyInbound(ctx, call, file, content)
	}
	f, is, err := s.bringChecked(ctx, call, file)
	if err != nil {
		return nil, err
	}
	defer f.spooled.Discard()
	return s.keepInbound(ctx, call, f.spooled, content, &messaging.Media{MIME: is, Filename: f.name})
}

// copyInbound takes a file that is stored already. One that is not an inbound
// file of the instance is copied, for others may not see it.
func (s *Server) copyInbound(ctx context.Context, call *Call, file *mediaInput, content *messaging.Media) (kept *messaging.MediaInfo, err error) {
	if err := s.attachStored(ctx, call, file, content); err != nil {
		return nil, err
	}
	stored, r, err := s.media.Open(ctx, call.Tenancy, file.MediaID)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	if stored.InstanceID == call.InstanceID && stored.Lineage == "" {
		return nil, nil
	}
	spooled, err := s.media.Spool(r, media.MaxOf(file.kind))
	if err != nil {
		return nil, unfit(string(file.kind), err)
	}
	defer spooled.Discard()
	return s.keepInbound(ctx, call, spooled, content, &messaging.Media{MIME: content.MIME, Filename: content.Filename})
}

// keepInbound stores the file of a contact's message and describes it.
func (s *Server) keepInbound(ctx context.Context, call *Call, spooled *media.Spooled, content, as *messaging.Media) (*messaging.MediaInfo, error) {
	m, err := s.media.Keep(ctx, spooled, messaging.MediaInfo{
		WorkspaceID: call.Tenancy.Workspace(), Environment: call.Tenancy.Environment(), InstanceID: call.InstanceID,
		MIME: as.MIME, Filename: as.Filename,
	})
	if err != nil {
		return nil, err
	}
	describe(content, &m)
	return &m, nil
}
