package gateway

import (
	"context"
	"slices"
	"strconv"
	"time"

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

// appendJSON implements appender: callers ask who they are to see whether the
// server is well.
func (v meView) appendJSON(b []byte) []byte {
	b = appendMember(append(b, '{'), `"id":`, v.ID)
	b = appendMember(b, `,"name":`, v.Name)
	b = appendMember(b, `,"workspace_id":`, v.WorkspaceID)
	b = appendMember(b, `,"environment":`, string(v.Environment))
	b = append(b, `,"scopes":[`...)
	for i, scope := range v.Scopes {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendQuoted(b, scope)
	}
	b = strconv.AppendBool(append(b, `],"all_instances":`...), v.AllInstances)
	b = append(b, `,"instances":`...)
	if v.Instances == nil {
		b = append(b, "null"...)
	} else {
		b = appendAllowed(b, *v.Instances)
	}
	b = strconv.AppendInt(append(b, `,"limits":{"rate_per_minute":`...), v.Limits.RatePerMinute, 10)
	b = strconv.AppendInt(append(b, `,"rate_burst":`...), v.Limits.RateBurst, 10)
	b = append(b, `,"messages_per_minute":`...)
	if v.Limits.MessagesPerMinute == nil {
		b = append(b, "null"...)
	} else {
		b = strconv.AppendInt(b, *v.Limits.MessagesPerMinute, 10)
	}
	b = appendTime(append(b, `},"expires_at":`...), time.Time(v.ExpiresAt))
	return append(b, '}')
}

func appendAllowed(b []byte, allowed []allowedView) []byte {
	b = append(b, '[')
	for i, a := range allowed {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendMember(b, `{"id":`, a.ID)
		b = append(appendMember(b, `,"name":`, a.Name), '}')
	}
	return append(b, ']')
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
