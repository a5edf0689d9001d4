package gateway

import (
	"context"
	"slices"
	"time"

	"portaria/auth"
	"portaria/instances"
	"portaria/internal/fault"
	"portaria/messaging"
	"portaria/outbox/bulk"
)

// createBulk accepts a bulk through the instance of the path.
func (s *Server) createBulk(ctx context.Context, call *Call, req createBulk) (bulkAnswer, error) {
	return s.acceptBulk(ctx, call, &req, []messaging.Instance{call.Instance})
}

// createSpreadBulk accepts a bulk over several instances.
func (s *Server) createSpreadBulk(ctx context.Context, call *Call, req createSpreadBulk) (bulkAnswer, error) {
	through, err := s.bulkInstances(ctx, call, req.Instances)
	if err != nil {
		return bulkAnswer{}, err
	}
	return s.acceptBulk(ctx, call, &req.createBulk, through)
}

// bulkInstances finds the instances that a bulk names, each once. What a locked
// key may name follows from its grant alone, and is decided for all of them
// before any is looked up. Faults: auth.ErrInstanceNotAllowed,
// instances.ErrNotFound.
func (s *Server) bulkInstances(ctx context.Context, call *Call, refs []string) ([]messaging.Instance, error) {
	refs = slices.Clone(refs)
	for i, ref := range refs {
		if !call.Grant.Locked() {
			continue
		}
		id, ok := call.Grant.InstanceID(ref)
		if !ok {
			return nil, auth.ErrInstanceNotAllowed
		}
		refs[i] = id
	}
	var list []messaging.Instance
	for _, ref := range refs {
		if !plainText(ref) {
			return nil, instances.ErrNotFound
		}
		found, err := s.instances.Resolve(ctx, call.Tenancy, ref)
		if err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(list, func(i messaging.Instance) bool { return i.ID == found.ID }) {
			list = append(list, found)
		}
	}
	return list, nil
}

// acceptBulk brings the file of the message, if it has one, and hands the bulk
// to those who send it, or to a rehearsal.
func (s *Server) acceptBulk(ctx context.Context, call *Call, req *createBulk, through []messaging.Instance) (bulkAnswer, error) {
	kept, err := s.bringTemplate(ctx, call, req)
	if err != nil {
		return bulkAnswer{}, err
	}
	draft := bulk.Draft{
		Tenancy: call.Tenancy, KeyID: call.Grant.KeyID, Lineage: call.Grant.Lineage, Instances: through,
		Name: req.Name, Content: req.content, Metadata: req.Metadata.bytes(), Options: req.options, Rows: call.bulkRows(req.Mapping),
	}
	if req.rehearsed() {
		r, err := s.bulks.Rehearse(ctx, draft)
		if err != nil {
			return bulkAnswer{}, err
		}
		call.Answer(rehearsedStatus)
		return bulkAnswer{rehearsal: call.viewRehearsal(&r)}, nil
	}
	draft.Pay = func(recipients int) error { return call.exchange.payBulk(recipients) }
	var answer bulkAnswer
	if call.Idempotent() { // who repeats the request must hear the same
		draft.ClaimFor = func(b messaging.Bulk) (*messaging.Claim, error) {
			answer.bulk = s.viewEstimated(ctx, &b)
			return call.Claim(answer)
		}
	}
	b, err := s.bulks.Accept(ctx, draft)
	if err != nil {
		s.dropUnused(ctx, kept, err)
		return bulkAnswer{}, err
	}
	if draft.ClaimFor == nil {
		answer.bulk = s.viewEstimated(ctx, &b)
	}
	return answer, nil
}

// bulkRows returns the rows that came with the request.
func (c *Call) bulkRows(mapping columnMap) bulk.Rows {
	rows := c.exchange.rows
	switch rows.format {
	case rowsCSV:
		return sheetRows{file: rows.file, mapping: mapping}
	case rowsNDJSON:
		return lineRows{rows}
	case rowsJSON:
	}
	return jsonRows{rows}
}

// bringTemplate brings the file of a bulk's message, once for all of its
// recipients. kept is the file when it was stored for this bulk alone. A
// rehearsal looks at the file and stores nothing.
func (s *Server) bringTemplate(ctx context.Context, call *Call, req *createBulk) (kept *messaging.MediaInfo, err error) {
	switch {
	case req.file == nil:
		return nil, nil
	case req.rehearsed() && req.file.MediaID == "":
		err = s.tryOn(ctx, call, req.file, req.content.Media)
	default:
		kept, err = s.attach(ctx, call, req.file, req.content.Media)
	}
	return kept, inMessage(err)
}

// inMessage puts refused fields of a content where it stands in a bulk.
func inMessage(err error) error {
	f := fault.As(err)
	if f == nil || !f.Is(fault.ErrValidation) {
		return err
	}
	fields, _ := f.Details()["fields"].([]fault.Field)
	return f.With("fields", []fault.Field(within(messagePart, slices.Clone(fields))))
}

// payBulk takes what a bulk of so many recipients costs beside its request
// (API.md section 7): a token for each hundred of them, as far as the key's
// bucket can ever hold them, and one for each of its bucket of messages. Faults:
// auth.ErrRateLimited; fault.ErrValidation for more recipients than that bucket
// can ever hold.
func (x *exchange) payBulk(recipients int) error {
	grant, now := x.call.Grant, x.server.now()
	if grant.Messages != nil && recipients > grant.Messages.Burst() {
		return tooManyFor(grant.Messages)
	}
	cost := bulkCost(grant, recipients)
	if there, _ := grant.Requests.Take(now, 0); there.Remaining < int64(cost) {
		return x.payRequests(now, cost+1) // nothing is taken of either bucket; who comes again pays for that request, too
	}
	if grant.Messages != nil {
		level, ok := grant.Messages.Take(now, recipients)
		x.levels.messages, x.levels.hasMessages = level, true
		if !ok {
			return auth.ErrRateLimited.With("policy", "messages").After(level.RetryAfter)
		}
	}
	return x.payRequests(now, cost)
}

func (x *exchange) payRequests(now time.Time, n int) error {
	level, ok := x.call.Grant.Requests.Take(now, n)
	x.levels.requests = level
	if !ok {
		return auth.ErrRateLimited.With("policy", "key").After(level.RetryAfter)
	}
	return nil
}

// recipientsPerToken is how many recipients of a bulk cost one request.
const recipientsPerToken = 100

// bulkCost is what a bulk costs in requests, beside its own.
func bulkCost(grant *auth.Grant, recipients int) int {
	return min((recipients+recipientsPerToken-1)/recipientsPerToken, max(grant.Requests.Burst()-1, 0))
}

// visibleBulk finds the bulk of the path.
func (s *Server) visibleBulk(ctx context.Context, call *Call) (messaging.Bulk, error) {
	if err := call.namesBulk(); err != nil {
		return messaging.Bulk{}, err
	}
	return s.bulks.Find(ctx, call.Tenancy, call.ID)
}

// namesBulk refuses an id that can be no bulk's: a database might choke on it.
func (c *Call) namesBulk() error {
	if !messaging.ValidID(messaging.BulkPrefix, c.ID) {
		return fault.ErrNotFound
	}
	return nil
}

// listBulksQuery is the query of GET /v1/bulk.
type listBulksQuery struct{ pageQuery }

// readQuery implements queryReader.
func (l *listBulksQuery) readQuery(q *query) { l.page = q.page(isID(messaging.BulkPrefix)) }

// listBulks lists the bulks that the key may see, newest first. When each will
// have been sent is told of one at a time: to find out takes a look at all that
// waits for its instances.
func (s *Server) listBulks(ctx context.Context, call *Call, req listBulksQuery) (List[bulkView], error) {
	rows, err := s.bulks.List(ctx, call.Tenancy, req.page)
	view := func(b messaging.Bulk) bulkView { return viewBulk(&b) }
	return listOf(rows, req.page, view, func(b messaging.Bulk) string { return b.ID }), err
}

// getBulk shows a bulk.
func (s *Server) getBulk(ctx context.Context, call *Call, _ nothing) (bulkView, error) {
	b, err := s.visibleBulk(ctx, call)
	if err != nil {
		return bulkView{}, err
	}
	return s.viewEstimated(ctx, &b), nil
}

// steer returns the handler of something that owners ask of a bulk.
func (s *Server) steer(
	act func(BulkControls, context.Context, messaging.Tenancy, string) (messaging.Bulk, error),
) func(context.Context, *Call, nothing) (bulkView, error) {
	return func(ctx context.Context, call *Call, _ nothing) (bulkView, error) {
		if err := call.namesBulk(); err != nil {
			return bulkView{}, err
		}
		b, err := act(s.steering, ctx, call.Tenancy, call.ID)
		if err != nil {
			return bulkView{}, err
		}
		return s.viewEstimated(ctx, &b), nil
	}
}
