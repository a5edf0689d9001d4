package gateway

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/gofiber/fiber/v2"

	"portaria/auth"
)

// bare is a server with an app and no parts: enough to mount on.
func bare() *Server {
	s := &Server{}
	s.app = newApp(s)
	return s
}

func anyRow() Row {
	return Row{
		Method: http.MethodGet, Path: "/v1/things", OperationID: "listThings", Tag: "things", Summary: "List things",
		Scopes:  []auth.Scope{auth.WhatsAppRead},
		Handler: handle(func(context.Context, *Call, nothing) (nothing, error) { return nothing{}, nil }),
	}
}

// A route that is not a row has no scope, no lock and no limit. There must be
// no way to have one by mistake.
func TestNothingIsMountedUnderV1WithoutARow(t *testing.T) {
	hello := func(c *fiber.Ctx) error { return c.SendString("hello") }
	for _, path := range []string{"/v1", "/v1/", "/v1/secret", "/v1/:id"} {
		if err := bare().open(path, hello); err == nil {
			t.Errorf("%s was mounted beside the table", path)
		}
	}
	for _, path := range []string{"/v1/secret", "/v1", "/:any/secret", "/*", "/+", "*"} {
		s := bare()
		s.rows = []Row{anyRow()}
		if err := s.mount(&s.rows[0]); err != nil {
			t.Fatal(err)
		}
		if err := s.verifyMounted(); err != nil {
			t.Fatalf("the table alone: %v", err)
		}
		s.app.Get(path, hello)
		if err := s.verifyMounted(); err == nil {
			t.Errorf("%s, mounted behind the table's back, was not noticed", path)
		}
	}
	s := bare()
	if err := s.open("/healthz", hello); err != nil {
		t.Error(err)
	}
	if err := s.verifyMounted(); err != nil {
		t.Error(err)
	}
}

// A row that lacks a guard is a mistake, not an open door.
func TestIncompleteRowsAreNotMounted(t *testing.T) {
	for name, spoil := range map[string]func(*Row){
		"outside /v1":                     func(r *Row) { r.Path = "/things" },
		"no scope":                        func(r *Row) { r.Scopes = nil },
		"no operation id":                 func(r *Row) { r.OperationID = "" },
		"no summary":                      func(r *Row) { r.Summary = "" },
		"no handler":                      func(r *Row) { r.Handler = Handler{} },
		"{instance} without its source":   func(r *Row) { r.Path = "/v1/instances/{instance}/things" },
		"source without {instance}":       func(r *Row) { r.Instance = InstancePath },
		"POST without body limit":         func(r *Row) { r.Method = http.MethodPost },
		"act on a workspace and instance": func(r *Row) { r.WorkspaceAct, r.Instance = true, InstanceQuery },
	} {
		row := anyRow()
		spoil(&row)
		if err := bare().mount(&row); err == nil {
			t.Errorf("%s: mounted", name)
		}
	}
	row := anyRow()
	if err := bare().mount(&row); err != nil {
		t.Errorf("a whole row: %v", err)
	}
}

func TestRowsAreNotRepeated(t *testing.T) {
	s := bare()
	s.rows = []Row{anyRow(), anyRow()}
	if err := s.verifyMounted(); err == nil || !strings.Contains(err.Error(), "twice") {
		t.Errorf("got %v", err)
	}
}
