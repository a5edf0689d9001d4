package gateway_test

import (
	"encoding/json"
	"flag"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"portaria/gateway"
)

var update = flag.Bool("update", false, "write docs/schemas instead of comparing")

// docs is where the schemas lie for those who read the repository.
const docs = "../docs"

// What lies in docs is what the server says.
func TestSchemasInDocsAreThoseThatAreServed(t *testing.T) {
	want, err := gateway.EventSchemas()
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		writeSchemas(t, want)
	}
	got := make(map[string][]byte)
	err = filepath.WalkDir(docs+"/schemas", func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			got[strings.TrimPrefix(filepath.ToSlash(path), docs)], err = os.ReadFile(path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("docs/schemas is not up to date, run go generate ./gateway:\n%s", diff)
	}
	h := open(t)
	for path, schema := range want {
		served := fetch(t, h.URL()+path)
		if served.status != http.StatusOK || served.body != string(schema) || served.header.Get("Access-Control-Allow-Origin") != "*" {
			t.Errorf("%s: %d, %v", path, served.status, served.header)
		}
	}
	for _, path := range []string{"/schemas/events/message.nothing.json", "/schemas/events/", "/schemas/events"} {
		h.Expect(t, get(path, ""), http.StatusNotFound, "NOT_FOUND")
	}
}

func writeSchemas(t *testing.T, files map[string][]byte) {
	t.Helper()
	if err := os.RemoveAll(docs + "/schemas"); err != nil {
		t.Fatal(err)
	}
	for path, schema := range files {
		path = docs + path
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, schema, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// The index leads to every schema, and nowhere else.
func TestIndexLeadsToEverySchema(t *testing.T) {
	files, err := gateway.EventSchemas()
	if err != nil {
		t.Fatal(err)
	}
	var index struct {
		APIVersion string `json:"api_version"`
		Events     []struct{ Type, Description, Data, Schema string }
	}
	if err := json.Unmarshal(files["/schemas/events.json"], &index); err != nil {
		t.Fatal(err)
	}
	if len(index.Events) != len(files)-1 || index.APIVersion != "v1" {
		t.Errorf("%d entries for %d schemas, version %s", len(index.Events), len(files)-1, index.APIVersion)
	}
	for _, e := range index.Events {
		if files[e.Schema] == nil || e.Schema != "/schemas/events/"+e.Type+".json" || e.Description == "" || !strings.HasPrefix(e.Type, e.Data+".") {
			t.Errorf("entry %+v", e)
		}
	}
}
