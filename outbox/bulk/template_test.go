package bulk_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"portaria/internal/fault"
	"portaria/messaging"
	"portaria/outbox/bulk"
)

func TestATemplateIsFilledIn(t *testing.T) {
	for _, c := range []struct {
		body      string
		variables []string
		values    []string
		want      string
	}{
		{"plain", nil, nil, "plain"},
		{"{{name}}", []string{"name"}, []string{"Ana"}, "Ana"},
		{"Olá {{ nome }}!", []string{"nome"}, []string{"Zoé"}, "Olá Zoé!"},
		{"{{a}}{{b}}{{a}}", []string{"a", "b"}, []string{"1", "2"}, "121"},
		{"Hi {{name|friend}}", []string{"name"}, []string{""}, "Hi friend"},
		{"Hi {{ name | dear friend }}.", []string{"name"}, []string{""}, "Hi dear friend."},
		{"Hi {{name|friend}}", []string{"name"}, []string{"Ana"}, "Hi Ana"},
		{"Hi{{name|}}.", []string{"name"}, []string{""}, "Hi."},
		{"{{a|b|c}}", []string{"a"}, []string{""}, "b|c"},
		{"{{Order no. 1}}", []string{"Order no. 1"}, []string{"7"}, "7"},
		{"{{{{name}} is {{name}}", []string{"name"}, []string{"x"}, "{{name}} is x"},
		{"{{{{", nil, nil, "{{"},
		{"{ one } and }}", nil, nil, "{ one } and }}"},
		{"{{x}}", []string{"x"}, []string{"{{y}}"}, "{{y}}"}, // what a row says is no template
	} {
		tpl, err := bulk.Compile(text(c.body))
		if err != nil {
			t.Errorf("%q: %v", c.body, err)
			continue
		}
		if diff := cmp.Diff(c.variables, tpl.Variables()); diff != "" {
			t.Errorf("%q: variables (-want +got):\n%s", c.body, diff)
		}
		if got := tpl.Render(c.values).Text.Body; got != c.want {
			t.Errorf("%q with %q = %q, want %q", c.body, c.values, got, c.want)
		}
	}
}

func TestATemplateThatCannotBeIsRefusedWithItsPlace(t *testing.T) {
	reaction := messaging.Content{Kind: messaging.KindReaction, Reaction: &messaging.Reaction{Emoji: "x"}}
	answer := text("x")
	answer.ReplyTo = &messaging.Reference{WAMessageID: "3EB0"}
	for name, c := range map[string]struct {
		content messaging.Content
		says    string
	}{
		"unclosed":     {text("é {{name"), "is not closed (write {{{{ for braces that are text): it begins at character 3"},
		"empty":        {text("a {{ }}"), "has no name: it begins at character 3"},
		"only default": {text("{{|x}}"), "has no name"},
		"nested":       {text("{{a {{b}}"), "has a brace in it, or is not closed: it begins at character 1"},
		"three braces": {text("{{{name}}}"), "has a brace in it"},
		"many":         {text(placeholders(256) + "é{{one more}}{{and another}}"), "has more than 256 different placeholders: the next begins at character 2050"},
		"reaction":     {reaction, "must not be a reaction"},
		"answer":       {answer, "points at one message"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := bulk.Compile(c.content)
			if !errors.Is(err, fault.ErrValidation) {
				t.Fatalf("Compile = %v, want a validation fault", err)
			}
			fields := fault.As(err).Details()["fields"].([]fault.Field)
			if len(fields) != 1 || !strings.Contains(fields[0].Message, c.says) {
				t.Errorf("fields = %+v, want one that says %q", fields, c.says)
			}
		})
	}
}

// placeholders are n different ones.
func placeholders(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "{{v%03d}}", i)
	}
	return b.String()
}

// The limit is that of names: they may come again, and in other texts.
func TestATemplateMayHaveAsManyNamesAsARow(t *testing.T) {
	tpl, err := bulk.Compile(text(placeholders(256) + placeholders(256)))
	if err != nil || len(tpl.Variables()) != 256 {
		t.Fatalf("%d variables, %v", len(tpl.Variables()), err)
	}
	_, err = bulk.Compile(messaging.Content{Kind: messaging.KindPoll, Poll: &messaging.Poll{
		Question: placeholders(256), Options: []string{"{{v000}}", "no, {{w}}", "{{x}}"},
	}})
	want := []fault.Field{{Field: "message", Rule: "max", Message: "has more than 256 different placeholders: the next begins at character 5"}}
	if diff := cmp.Diff(want, fault.As(err).Details()["fields"]); diff != "" {
		t.Error(diff)
	}
}

// A bulk's content is shared by its rows: what one row says must never be seen by
// another.
func TestEveryTextOfAContentIsFilledIn(t *testing.T) {
	for name, c := range map[string]messaging.Content{
		"a caption and a file's name": {Kind: messaging.KindDocument, Media: &messaging.Media{ID: "med_1", Caption: "For {{n}}", Filename: "{{n}}.pdf"}},
		"a place":                     {Kind: messaging.KindLocation, Location: &messaging.Location{Name: "{{n}}", Address: "{{n}} street"}},
		"a poll":                      {Kind: messaging.KindPoll, Poll: &messaging.Poll{Question: "{{n}}?", Options: []string{"yes", "no, {{n}}"}}},
		"a card": {Kind: messaging.KindContacts, Contacts: []messaging.Contact{{
			Name: messaging.ContactName{FormattedName: "{{n}}"}, Phones: []messaging.ContactPhone{{Phone: "{{n}}"}}, Emails: []messaging.ContactEmail{{Email: "{{n}}@x"}},
		}}},
	} {
		t.Run(name, func(t *testing.T) {
			before := c.Clone()
			tpl, err := bulk.Compile(c)
			if err != nil {
				t.Fatal(err)
			}
			one, two := tpl.Render([]string{"ONE"}), tpl.Render([]string{"TWO"})
			for i, text := range one.Texts() {
				original := *before.Texts()[i]
				if want := strings.ReplaceAll(original, "{{n}}", "ONE"); *text != want {
					t.Errorf("text %d of the first row = %q, want %q", i, *text, want)
				}
				if want := strings.ReplaceAll(original, "{{n}}", "TWO"); *two.Texts()[i] != want {
					t.Errorf("text %d of the second row = %q, want %q", i, *two.Texts()[i], want)
				}
			}
			if diff := cmp.Diff(before, c); diff != "" {
				t.Errorf("the template's content was changed:\n%s", diff)
			}
		})
	}
}

// Whatever is a name and whatever a value: it comes out where it was put.
func TestRenderingPutsValuesInTheirPlaces(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var body, want strings.Builder
		values := make(map[string]string)
		for range rapid.IntRange(0, 8).Draw(rt, "parts") {
			literal := rapid.StringMatching(`[a-z }é]{0,6}`).Draw(rt, "literal")
			body.WriteString(literal)
			want.WriteString(literal)
			if rapid.Bool().Draw(rt, "placeholder") {
				name := rapid.StringMatching(`[a-zé]([a-z ]{0,4}[a-z])?`).Draw(rt, "name")
				if _, ok := values[name]; !ok {
					values[name] = rapid.StringMatching(`[a-z{}|]{0,5}`).Draw(rt, "value")
				}
				fallback := rapid.StringMatching(`([a-z]{1,4})?`).Draw(rt, "default")
				body.WriteString("{{" + name + "|" + fallback + "}}")
				if values[name] == "" {
					want.WriteString(fallback)
				} else {
					want.WriteString(values[name])
				}
			}
		}
		tpl, err := bulk.Compile(text(body.String()))
		if err != nil {
			rt.Fatalf("%q: %v", body.String(), err)
		}
		in := make([]string, len(tpl.Variables()))
		for i, name := range tpl.Variables() {
			in[i] = values[name]
		}
		if got := tpl.Render(in).Text.Body; got != want.String() {
			rt.Errorf("%q = %q, want %q", body.String(), got, want.String())
		}
	})
}

func TestAPlainTextIsRenderedWithTwoAllocations(t *testing.T) {
	tpl, err := bulk.Compile(text("Hello {{name}}, your order {{order|is here}} has come."))
	if err != nil {
		t.Fatal(err)
	}
	values := []string{"Ana", "4711"}
	if n := testing.AllocsPerRun(100, func() { tpl.Render(values) }); n > 2 {
		t.Errorf("%v allocations, want 2 at most", n)
	}
}

func FuzzTemplate(f *testing.F) {
	for _, seed := range []string{"plain", "{{a}}", "{{a|b}} {{{{ {{ c }}", "{{", "}}", "{{}}", "{{{a}}}", "{{a{{b}}", "{{|}}"} {
		f.Add(seed, "value")
	}
	f.Fuzz(func(t *testing.T, body, value string) {
		tpl, err := bulk.Compile(text(body))
		if err != nil {
			if !errors.Is(err, fault.ErrValidation) {
				t.Fatalf("Compile = %v", err)
			}
			return
		}
		values := make([]string, len(tpl.Variables()))
		for i, name := range tpl.Variables() {
			if name == "" || strings.ContainsAny(name, "{}|") {
				t.Fatalf("%q has a variable %q", body, name)
			}
			values[i] = value
		}
		got := tpl.Render(values).Text.Body
		if !strings.Contains(body, "{{") && got != body {
			t.Fatalf("%q = %q", body, got)
		}
	})
}
