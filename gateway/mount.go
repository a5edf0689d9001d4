package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/gofiber/fiber/v2"

	"portaria/auth"
)

// Handler is a typed function as a row holds it. Only handle makes one.
type Handler struct {
	request any // a value of the request's type, for the OpenAPI document
	answer  any // a value of the answer's envelope
	run     func(ctx context.Context, x *exchange) error
}

// nothing is the request of a row without body and query.
type nothing struct{}

// handle makes a row's handler of a function that knows no HTTP.
func handle[Req, Res any](act func(ctx context.Context, call *Call, req Req) (Res, error)) Handler {
	return Handler{
		request: *new(Req),
		answer:  answerOf[Res](),
		run: func(ctx context.Context, x *exchange) error {
			var req Req
			if err := x.decode(&req); err != nil {
				return err
			}
			ctx, err := x.seeded(ctx)
			if err != nil {
				return err
			}
			res, err := act(ctx, &x.call, req)
			if err != nil {
				return err
			}
			return x.render(res)
		},
	}
}

// guardedPrefix is where only rows of the table may be.
const guardedPrefix = "/v1"

// guarded reports whether a path belongs to the table.
func guarded(path string) bool {
	return path == guardedPrefix || strings.HasPrefix(path, guardedPrefix+"/")
}

// open mounts a handler outside the table: health, documentation. It refuses
// what belongs to the table.
func (s *Server) open(path string, h fiber.Handler) error {
	if guarded(path) {
		return fmt.Errorf("mount %s: routes under %s are rows of the table", path, guardedPrefix)
	}
	s.app.Add(http.MethodGet, path, h)
	s.app.Add(http.MethodHead, path, h)
	return nil
}

// mount puts a row behind the door.
func (s *Server) mount(row *Row) error {
	if err := row.check(); err != nil {
		return fmt.Errorf("mount %s %s: %w", row.Method, row.Path, err)
	}
	pattern := strings.NewReplacer("{", ":", "}", "").Replace(row.Path)
	s.app.Add(row.Method, pattern, s.door(row))
	if row.Method == http.MethodGet {
		s.app.Add(http.MethodHead, pattern, s.door(row))
	}
	return nil
}

// check refuses a row that would be mounted without its guards.
func (r *Row) check() error {
	takesInstance := strings.Contains(r.Path, "{instance}")
	switch {
	case !guarded(r.Path):
		return errors.New("the table is for routes under " + guardedPrefix)
	case r.OperationID == "" || r.Summary == "" || r.Tag == "":
		return errors.New("the row has no operation id, tag or summary")
	case r.Handler.run == nil:
		return errors.New("the row has no handler")
	case len(r.Scopes)+len(r.AnyOf) == 0 && r.Path != "/v1/me":
		return errors.New("the row asks for no scope")
	case takesInstance != (r.Instance == InstancePath):
		return errors.New("{instance} in the path and the row's instance source disagree")
	case r.WorkspaceAct && r.Instance != InstanceNone:
		return errors.New("an act on the workspace has no instance")
	case r.Method == http.MethodPost && r.BodyLimit == 0:
		return errors.New("a POST needs a body limit")
	}
	return nil
}

// verifyMounted refuses to start when a route under /v1 is not in the table,
// however it got there.
func (s *Server) verifyMounted() error {
	known := make(map[string]bool, len(s.rows))
	for i := range s.rows {
		row := &s.rows[i]
		pattern := strings.NewReplacer("{", ":", "}", "").Replace(row.Path)
		if known[row.Method+pattern] {
			return fmt.Errorf("%s %s stands in the table twice", row.Method, row.Path)
		}
		known[row.Method+pattern] = true
		if row.Method == http.MethodGet {
			known[http.MethodHead+pattern] = true
		}
	}
	for _, route := range s.app.GetRoutes() {
		if reachesGuarded(route.Path) && !known[route.Method+route.Path] {
			return fmt.Errorf("%s %s is mounted without a row of the table", route.Method, route.Path)
		}
	}
	return nil
}

// reachesGuarded reports whether a pattern could answer for a path under /v1:
// those below it, and those whose first segment is not plain text.
func reachesGuarded(pattern string) bool {
	first, _, _ := strings.Cut(strings.TrimPrefix(pattern, "/"), "/")
	return "/"+first == guardedPrefix || strings.ContainsAny(first, ":*+")
}

// required lists the scopes that a refusal names.
func (r *Row) required() []string {
	names := make([]string, 0, len(r.Scopes)+len(r.AnyOf))
	for _, scope := range slices.Concat(r.Scopes, r.AnyOf) {
		names = append(names, string(scope))
	}
	return names
}

// permits reports whether a grant has the row's scopes.
func (r *Row) permits(grant *auth.Grant) bool {
	for _, scope := range r.Scopes {
		if !grant.Can(scope) {
			return false
		}
	}
	return len(r.AnyOf) == 0 || slices.ContainsFunc(r.AnyOf, grant.Can)
}
