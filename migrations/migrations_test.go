package migrations_test

import (
	"io/fs"
	"regexp"
	"strings"
	"testing"

	"portaria/migrations"
)

func TestMarkedLinesAreLeftOutForTheOtherEngine(t *testing.T) {
	text := "a\nb -- only: sqlite\nc -- only: postgres\nd\n"
	for engine, want := range map[string]string{"sqlite": "a\nb -- only: sqlite\nd\n", "postgres": "a\nc -- only: postgres\nd\n"} {
		if got := migrations.Select(engine, text); got != want {
			t.Errorf("Select(%s) = %q, want %q", engine, got, want)
		}
	}
}

// A misspelt mark would leave a line in for both engines, or out for both.
func TestEveryMarkNamesAnEngine(t *testing.T) {
	mark := regexp.MustCompile(`-- *only *:? *(\S*)`)
	for _, engine := range []string{"sqlite", "postgres"} {
		files, err := fs.Glob(migrations.For(engine), "*.sql")
		if err != nil || len(files) == 0 {
			t.Fatalf("no migrations for %s: %v", engine, err)
		}
		for _, name := range files {
			text, err := fs.ReadFile(migrations.For(engine), name)
			if err != nil {
				t.Fatal(err)
			}
			for line := range strings.Lines(string(text)) {
				if m := mark.FindStringSubmatch(line); m != nil && m[1] != engine && !strings.HasPrefix(strings.TrimSpace(line), "--") {
					t.Errorf("%s for %s has the line %q", name, engine, line)
				}
			}
		}
	}
}
