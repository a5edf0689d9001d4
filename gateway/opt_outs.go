package gateway

import (
	"context"
	"strings"

	"portaria/auth"
	"portaria/internal/fault"
	"portaria/messaging"
	"portaria/outbox"
	"portaria/outbox/bulk"
)

// optOutView is a contact who does not want bulks.
type optOutView struct {
	InstanceID nullable    `json:"instance_id" description:"Whose bulks; null: the whole workspace's."`
	To         addressView `json:"to"`
	Keyword    nullable    `json:"keyword" description:"What the contact wrote; null when a key entered it."`
	KeyID      nullable    `json:"key_id" description:"The key that entered it; null when the contact wrote."`
	CreatedAt  timestamp   `json:"created_at"`
}

func viewOptOut(o messaging.OptOut) optOutView {
	return optOutView{
		InstanceID: nullable(o.InstanceID), To: addressView(o.To), Keyword: nullable(o.Keyword), KeyID: nullable(o.KeyID),
		CreatedAt: timestamp(o.CreatedAt),
	}
}

// createOptOut is the body of a new opt-out.
type createOptOut struct {
	To         string  `json:"to" required:"true" minLength:"1" description:"A number in international form, or a WhatsApp id." example:"+55 11 91234-5678"`
	InstanceID *string `json:"instance_id,omitzero" nullable:"true" description:"An instance's id or name; null or absent: the whole workspace, which a key locked to instances may not name." example:"support"`
}

// validate implements validator.
func (c *createOptOut) validate(_ *Call, fields *fault.Fields) error {
	if strings.TrimSpace(c.To) == "" {
		fields.Add("to", "required", "is required")
	}
	if c.InstanceID != nil && strings.TrimSpace(*c.InstanceID) == "" {
		fields.Add("instance_id", "required", "must name an instance, or be null for all")
	}
	return nil
}

// createOptOut notes that a contact does not want bulks. Who is noted already
// stays so.
func (s *Server) createOptOut(ctx context.Context, call *Call, req createOptOut) (optOutView, error) {
	o := messaging.OptOut{
		WorkspaceID: call.Tenancy.Workspace(), Environment: call.Tenancy.Environment(), KeyID: call.Grant.KeyID, CreatedAt: call.Now(),
	}
	var err error
	switch {
	case req.InstanceID != nil:
		o.InstanceID, err = s.instanceID(ctx, call, *req.InstanceID)
	case call.Grant.Locked():
		err = auth.ErrInstanceLocked
	}
	if err != nil {
		return optOutView{}, err
	}
	if o.To, err = outbox.ParseRecipient(req.To); err != nil {
		return optOutView{}, err
	}
	kept, err := s.optOuts.OptOut(ctx, o)
	return viewOptOut(kept), err
}

// listOptOuts is the query of GET /v1/opt-outs.
type listOptOuts struct {
	pageQuery
	recipientQuery
}

// deleteOptOut is the query of DELETE /v1/opt-outs.
type deleteOptOut struct{ recipientQuery }

// recipientQuery names a recipient, however the number is written.
type recipientQuery struct {
	To string `query:"to" description:"A number in international form, or a WhatsApp id."`

	person string
}

func (r *recipientQuery) read(q *query) {
	if r.To = q.text("to"); r.To == "" {
		return
	}
	address, err := outbox.ParseRecipient(r.To)
	if err != nil {
		q.wrong.Add("to", "format", "is not a number in international form, nor a WhatsApp id")
		return
	}
	r.person = messaging.Person(address.WAID)
}

// readQuery implements queryReader.
func (l *listOptOuts) readQuery(q *query) {
	l.page = q.page(func(last string) bool {
		_, ok := bulk.ParseOptOutCursor(last)
		return ok
	})
	l.read(q)
}

// readQuery implements queryReader.
func (d *deleteOptOut) readQuery(q *query) {
	d.read(q)
	if d.To == "" && len(q.wrong) == 0 {
		q.wrong.Add("to", "required", "is required")
	}
}

// listOptOuts lists who does not want bulks, newest first. A locked key sees
// those of its instances.
func (s *Server) listOptOuts(ctx context.Context, call *Call, req listOptOuts) (List[optOutView], error) {
	rows, err := s.optOuts.OptOuts(ctx, call.Tenancy, call.InstanceID, req.person, req.page)
	return listOf(rows, req.page, viewOptOut, func(o messaging.OptOut) string { return bulk.OptOutCursor(&o) }), err
}

// deleteOptOut forgets that a contact does not want bulks, and shows what was
// noted.
func (s *Server) deleteOptOut(ctx context.Context, call *Call, req deleteOptOut) (optOutView, error) {
	if call.InstanceID == "" && call.Grant.Locked() {
		return optOutView{}, auth.ErrInstanceLocked
	}
	o, err := s.optOuts.OptIn(ctx, call.Tenancy, call.InstanceID, req.person)
	return viewOptOut(o), err
}
