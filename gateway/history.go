package gateway

import (
	"context"
	"slices"
	"strconv"

	"portaria/auth"
	"portaria/messaging"
)

// pageQuery is the part of a list that is asked for, as OpenAPI shows it.
type pageQuery struct {
	Limit  int    `query:"limit" minimum:"1" maximum:"200" default:"50"`
	Cursor string `query:"cursor" description:"page.next of the page before."`

	page messaging.Page
}

// listPage is the query of lists without filters, by the ids of their rows.
type listPage struct{ pageQuery }

// readQuery implements queryReader.
func (l *listPage) readQuery(q *query) {
	l.page = q.page(func(last string) bool {
		return messaging.ValidID(messaging.InstancePrefix, last) || messaging.ValidID(messaging.EventPrefix, last)
	})
}

// listEvents is the query of GET /v1/events.
type listEvents struct {
	pageQuery

	Type  string `query:"type" description:"As message.delivered."`
	After string `query:"after" description:"An event's id: turns the order, oldest first, beginning behind it."`

	filter messaging.EventFilter
}

// readQuery implements queryReader.
func (l *listEvents) readQuery(q *query) {
	l.page = q.page(isID(messaging.EventPrefix))
	l.filter.Type = messaging.EventType(q.text("type"))
	if l.filter.Type != "" && !slices.Contains(messaging.EventTypes, l.filter.Type) {
		q.wrong.Add("type", "enum", "is not a type of event")
	}
	l.filter.After = q.id("after", messaging.EventPrefix)
	if l.filter.After != "" && l.page.Cursor != "" {
		// In that order a page begins behind its cursor like behind after.
		l.filter.After, l.page.Cursor = l.page.Cursor, ""
	}
}

// listEvents lists events.
func (s *Server) listEvents(ctx context.Context, call *Call, req listEvents) (List[eventView], error) {
	filter := req.filter
	filter.InstanceID = call.InstanceID
	return s.eventsPage(ctx, call, filter, req.page)
}

func (s *Server) eventsPage(
	ctx context.Context, call *Call, filter messaging.EventFilter, page messaging.Page,
) (List[eventView], error) {
	rows, err := s.reader.Events(ctx, call.Tenancy, filter, page)
	return listOf(rows, page, s.viewEvent, func(e messaging.Event) string { return e.ID }), err
}

// listLogs is the query of GET /v1/logs.
type listLogs struct {
	pageQuery

	Key    string `query:"key" description:"A key's id."`
	Status int    `query:"status" minimum:"100" maximum:"599"`
	Since  string `query:"since" format:"date-time"`

	filter messaging.LogFilter
}

// readQuery implements queryReader.
func (l *listLogs) readQuery(q *query) {
	l.page = q.page(isPosition)
	l.filter.KeyID = q.text("key")
	l.filter.Status = q.number("status", 100, 599, 0)
	l.filter.Since = q.time("since")
}

// listLogs lists which key made which request.
func (s *Server) listLogs(ctx context.Context, call *Call, req listLogs) (List[logView], error) {
	filter := req.filter
	filter.InstanceID, filter.Lineage = call.InstanceID, call.Lineage
	rows, err := s.reader.RequestLogs(ctx, call.Tenancy, filter, req.page)
	return listOf(rows, req.page, viewLog, func(row messaging.RequestLog) string { return strconv.FormatInt(row.ID, 10) }), err
}

// me shows the key that asks.
func (s *Server) me(_ context.Context, call *Call, _ nothing) (meView, error) {
	return viewGrant(call.Grant), nil
}

// viewGrant shows a grant.
func viewGrant(g *auth.Grant) meView {
	v := meView{
		ID: g.KeyID, Name: g.Name, WorkspaceID: g.Workspace, Environment: g.Environment,
		Scopes: g.Scopes.Strings(), AllInstances: g.AllInstances,
		Limits:    limitsView{RatePerMinute: g.RatePerMinute, RateBurst: g.RateBurst},
		ExpiresAt: timestamp(g.ExpiresAt),
	}
	if g.MessagesPerMinute > 0 {
		v.Limits.MessagesPerMinute = &g.MessagesPerMinute
	}
	if g.Locked() {
		list := make([]allowedView, 0, len(g.Instances))
		for _, allowed := range g.Instances {
			list = append(list, allowedView(allowed))
		}
		v.Instances = &list
	}
	return v
}
