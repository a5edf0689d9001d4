package gateway_test

import (
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"portaria/gateway/gatewaytest"
)

// The document is made from the table: each row is an operation with its
// scopes, and there is no operation beside them but health.
func TestDocumentHasEveryRowAndNoOther(t *testing.T) {
	h := open(t)
	document := []byte(fetch(t, h.URL()+"/openapi.json").body)
	var got struct {
		OpenAPI string
		Info    struct{ Title, Version string }
		Paths   map[string]map[string]struct {
			OperationID string   `json:"operationId"`
			Required    []string `json:"x-required-scopes"`
			AnyOf       []string `json:"x-any-of-scopes"`
			Security    []map[string][]string
			Responses   map[string]json.RawMessage
		}
	}
	if err := json.Unmarshal(document, &got); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(got.OpenAPI, "3.1") || got.Info.Version != "test" {
		t.Errorf("openapi %s, version %s", got.OpenAPI, got.Info.Version)
	}
	operations := 0
	for _, methods := range got.Paths {
		operations += len(methods)
	}
	if want := len(h.Rows()) + 2; operations != want {
		t.Errorf("%d operations, want %d", operations, want)
	}
	for _, row := range h.Rows() {
		operation, ok := got.Paths[row.Path][strings.ToLower(row.Method)]
		if !ok || operation.OperationID != row.OperationID {
			t.Errorf("%s %s is %q, want %q", row.Method, row.Path, operation.OperationID, row.OperationID)
		}
		if len(operation.Required) != len(row.Scopes) || len(operation.AnyOf) != len(row.AnyOf) || len(operation.Security) != 2 {
			t.Errorf("%s: scopes %v %v, security %v", row.OperationID, operation.Required, operation.AnyOf, operation.Security)
		}
		for _, status := range []string{"400", "401", "429", "500", "503"} {
			if operation.Responses[status] == nil {
				t.Errorf("%s has no answer %s", row.OperationID, status)
			}
		}
	}
}

// An example that the API refuses is worse than none.
func TestExamplesFitTheirSchemas(t *testing.T) {
	h := open(t)
	document := []byte(fetch(t, h.URL()+"/openapi.json").body)
	resource, err := jsonschema.UnmarshalJSON(strings.NewReader(string(document)))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	compiler.DefaultDraft(jsonschema.Draft2020)
	if err := compiler.AddResource("doc:///d", resource); err != nil {
		t.Fatal(err)
	}
	shown := 0
	for _, row := range h.Rows() {
		if row.Example == "" {
			continue
		}
		shown++
		escaped := strings.NewReplacer("/", "~1", "{", "%7B", "}", "%7D").Replace(row.Path)
		schema, err := compiler.Compile("doc:///d#/paths/" + escaped + "/" + strings.ToLower(row.Method) + "/requestBody/content/application~1json/schema")
		if err != nil {
			t.Fatal(err)
		}
		example, err := jsonschema.UnmarshalJSON(strings.NewReader(row.Example))
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(example); err != nil {
			t.Errorf("%s: %v", row.OperationID, err)
		}
	}
	if shown < 5 {
		t.Errorf("only %d rows have an example", shown)
	}
}

// The validator is what all other tests lean on: it must refuse answers that
// are not as documented.
func TestValidatorRefusesUndocumentedAnswers(t *testing.T) {
	h := open(t)
	validator := validatorOf(t, h)
	header := func(name string) string { return map[string]string{"Content-Type": "application/json"}[name] }
	all := func(name string) string {
		if name == "Content-Type" {
			return "application/json"
		}
		return "1"
	}
	for name, a := range map[string]gatewaytest.Answer{
		"missing member":      {Method: "GET", Path: "/v1/sandbox/clock", Status: 200, Header: all, Body: []byte(`{"success":true,"data":{"mode":"real"},"request_id":"r"}`)},
		"member too many":     {Method: "GET", Path: "/v1/sandbox/clock", Status: 200, Header: all, Body: []byte(`{"success":true,"data":{"mode":"real","now":null,"x":1},"request_id":"r"}`)},
		"value of no enum":    {Method: "GET", Path: "/v1/sandbox/clock", Status: 200, Header: all, Body: []byte(`{"success":true,"data":{"mode":"odd","now":null},"request_id":"r"}`)},
		"missing header":      {Method: "GET", Path: "/v1/sandbox/clock", Status: 200, Header: header, Body: []byte(`{"success":true,"data":{"mode":"real","now":null},"request_id":"r"}`)},
		"undocumented status": {Method: "GET", Path: "/v1/sandbox/clock", Status: 418, Header: all, Body: []byte(`{}`)},
		"undocumented code":   {Method: "GET", Path: "/v1/me", Status: 401, Header: all, Body: []byte(`{"success":false,"error":{"code":"NOPE","message":"","details":{}},"request_id":"r"}`)},
		"undocumented path":   {Method: "GET", Path: "/v1/nope", Status: 200, Header: all, Body: []byte(`{}`)},
		"plain text":          {Method: "GET", Path: "/nope", Status: 404, Header: all, Body: []byte(`Not Found`)},
	} {
		if err := validator.Check(a); err == nil {
			t.Errorf("%s passed", name)
		}
	}
	good := gatewaytest.Answer{Method: "GET", Path: "/v1/sandbox/clock?x=1", Status: 200, Header: all, Body: []byte(`{"success":true,"data":{"mode":"real","now":null},"request_id":"r"}`)}
	if err := validator.Check(good); err != nil {
		t.Error(err)
	}
}

// The documentation must work offline and let nothing injected run.
func TestDocsAreSelfHosted(t *testing.T) {
	h := open(t)
	page := fetch(t, h.URL()+"/docs")
	policy := page.header.Get("Content-Security-Policy")
	if strings.Contains(policy, "http") || !strings.Contains(policy, "default-src 'none'") || strings.Contains(policy, "script-src 'self' 'unsafe-inline'") {
		t.Errorf("policy: %s", policy)
	}
	if scripts := strings.Count(page.body, "<script>"); strings.Count(policy, "'sha256-") != scripts || scripts == 0 {
		t.Errorf("%d inline scripts, policy %s", scripts, policy)
	}
	links := regexp.MustCompile(`(?:src|href)="([^"]+)"`).FindAllStringSubmatch(page.body, -1)
	for _, link := range links {
		if !strings.HasPrefix(link[1], "/docs/") {
			t.Errorf("the page loads %s", link[1])
		}
		if asset := fetch(t, h.URL()+link[1]); asset.status != http.StatusOK || len(asset.body) < 100 {
			t.Errorf("%s: %d, %d bytes", link[1], asset.status, len(asset.body))
		}
	}
	if len(links) < 3 || !strings.Contains(page.body, "/openapi.json") {
		t.Errorf("the page is not the documentation: %s", page.body)
	}
	h.Expect(t, get("/docs/nothing.js", ""), http.StatusNotFound, "NOT_FOUND")
}

type page struct {
	status int
	header http.Header
	body   string
}

func fetch(t *testing.T, url string) page {
	t.Helper()
	answer, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return page{status: answer.StatusCode, header: answer.Header, body: string(body)}
}
