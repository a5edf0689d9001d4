package bulk

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"portaria/internal/fault"
	"portaria/messaging"
)

// Template is a content whose texts may hold placeholders. It never changes once
// it is compiled.
type Template struct {
	content messaging.Content
	names   []string // of the variables, in the order of their first appearance
	texts   []templateText
}

// templateText is a text with placeholders.
type templateText struct {
	place int // in Content.Texts
	parts []part
	fixed int // bytes that every rendering has
}

// part is a placeholder with the text before it. The last part of a text may be
// text alone.
type part struct {
	before   string
	variable int // in Template.names; none for text alone
	fallback string
	optional bool // it has a fallback
}

// maxNames is how many variables a template may have: as many as a row.
const maxNames = 256

// none is the variable of a part without a placeholder.
const none = -1

// Compile reads the placeholders in a content's texts: {{name}}, or
// {{name|default}}, whose default stands where a row has no value or an empty
// one. Blanks around both count for nothing. A name is of any characters but
// braces and |, a default of any but braces. {{{{ stands for two opening braces
// that are text.
//
// Fault: fault.ErrValidation for a placeholder that is not closed or has no
// name, for more than 256 names, and for a content that points at one message: a
// reaction, an answer.
func Compile(content messaging.Content) (*Template, error) {
	t := &Template{content: content.Clone()}
	var fields fault.Fields
	if content.Kind == messaging.KindReaction || content.Reaction != nil {
		fields.Add("message", "enum", "must not be a reaction: it belongs to one message")
	}
	if content.ReplyTo != nil {
		fields.Add("message.reply_to", "unknown", "has no place in a bulk: it points at one message")
	}
	for place, text := range t.content.Texts() {
		if rule, wrong := t.add(place, *text); wrong != "" {
			fields.Add("message", rule, wrong)
		}
		if len(t.names) > maxNames {
			break // all that follow would be too many
		}
	}
	if err := fields.Err(); err != nil {
		return nil, err
	}
	return t, nil
}

// Variables returns the names of the placeholders, each once, in the order of
// their first appearance. Callers must not change the list.
func (t *Template) Variables() []string { return t.names }

// add compiles one text and returns what is wrong with it, by the rule that it
// breaks.
func (t *Template) add(place int, text string) (rule, wrong string) {
	if !strings.Contains(text, openBraces) {
		return "", ""
	}
	compiled := templateText{place: place}
	var before strings.Builder
	for at := 0; at < len(text); {
		next := strings.Index(text[at:], openBraces)
		if next < 0 {
			before.WriteString(text[at:])
			break
		}
		before.WriteString(text[at : at+next])
		at += next
		if strings.HasPrefix(text[at+len(openBraces):], openBraces) {
			before.WriteString(openBraces)
			at += 2 * len(openBraces)
			continue
		}
		p, size, wrong := t.placeholder(text[at:])
		if wrong != "" {
			return "template", fmt.Sprintf("has a placeholder that %s: it begins at character %d", wrong, characterAt(text, at))
		}
		if len(t.names) > maxNames {
			return "max", fmt.Sprintf("has more than %d different placeholders: the next begins at character %d", maxNames, characterAt(text, at))
		}
		p.before = before.String()
		before.Reset()
		compiled.push(p)
		at += size
	}
	if before.Len() > 0 {
		compiled.push(part{before: before.String(), variable: none})
	}
	t.texts = append(t.texts, compiled)
	return "", ""
}

// characterAt is the number of the character that begins at a byte, from 1.
func characterAt(text string, at int) int { return utf8.RuneCountInString(text[:at]) + 1 }

const openBraces, closeBraces = "{{", "}}"

// placeholder reads the placeholder that a text begins with.
func (t *Template) placeholder(text string) (p part, size int, wrong string) {
	end := strings.Index(text, closeBraces)
	if end < 0 {
		return p, 0, "is not closed (write {{{{ for braces that are text)"
	}
	inner := text[len(openBraces):end]
	if strings.ContainsAny(inner, "{}") {
		return p, 0, "has a brace in it, or is not closed"
	}
	name, fallback, optional := strings.Cut(inner, "|")
	if name = strings.TrimSpace(name); name == "" {
		return p, 0, "has no name"
	}
	p = part{variable: slices.Index(t.names, name), fallback: strings.TrimSpace(fallback), optional: optional}
	if p.variable < 0 {
		p.variable = len(t.names)
		t.names = append(t.names, name)
	}
	return p, end + len(closeBraces), ""
}

func (t *templateText) push(p part) {
	t.fixed += len(p.before)
	t.parts = append(t.parts, p)
}

// value is what a placeholder stands for in a row whose variables are values, in
// the order of Template.Variables.
func (p *part) value(values []string) string {
	if v := values[p.variable]; v != "" {
		return v
	}
	return p.fallback
}

// size is the length of a rendering, in bytes.
func (t *templateText) size(values []string) int {
	n := t.fixed
	for i := range t.parts {
		if p := &t.parts[i]; p.variable != none {
			n += len(p.value(values))
		}
	}
	return n
}

func (t *templateText) render(values []string) string {
	var b strings.Builder
	b.Grow(t.size(values))
	for i := range t.parts {
		p := &t.parts[i]
		b.WriteString(p.before)
		if p.variable != none {
			b.WriteString(p.value(values))
		}
	}
	return b.String()
}

// Render returns the content of a row. values are those of its variables, in the
// order of Variables; empty: it has none. The content shares no text with the
// template's, but for a template without placeholders, whose content is shared
// by all and must not be changed.
func (t *Template) Render(values []string) messaging.Content {
	if len(t.texts) == 0 {
		return t.content
	}
	if t.content.Kind == messaging.KindText { // by far the most: no list of texts is needed
		c, text := t.content, *t.content.Text
		text.Body = t.texts[0].render(values)
		c.Text = &text
		return c
	}
	c := t.content.Clone()
	texts := c.Texts()
	for i := range t.texts {
		*texts[t.texts[i].place] = t.texts[i].render(values)
	}
	return c
}

// check returns what keeps a row from being sent: the reason for which it is
// skipped, the variable that it is about, and a sentence.
func (t *Template) check(values []string) (reason, variable, wrong string) {
	for i := range t.texts {
		for j := range t.texts[i].parts {
			p := &t.texts[i].parts[j]
			if p.variable != none && !p.optional && values[p.variable] == "" {
				return messaging.SkippedVariable, t.names[p.variable], "has no value, and the template has no default for it"
			}
		}
		if t.texts[i].size(values) > messaging.MaxTextBytes {
			return messaging.SkippedTooLong, "", "makes a text longer than 65536 bytes"
		}
	}
	if len(t.texts) == 0 {
		return "", "", ""
	}
	return t.checkContent(values)
}

// checkContent holds what a row says to the rules of its kind.
func (t *Template) checkContent(values []string) (reason, variable, wrong string) {
	switch {
	case t.content.Text != nil:
		if t.texts[0].blank(values) {
			return messaging.SkippedUnfit, "", "makes an empty text"
		}
		return "", "", ""
	case t.content.Media != nil:
		return "", "", "" // a caption may be empty
	}
	c := t.Render(values)
	var fields fault.Fields
	if c.Check(&fields); len(fields) > 0 {
		return messaging.SkippedUnfit, "", "makes a message whose " + fields[0].Field + " " + fields[0].Message
	}
	return "", "", ""
}

// blank reports whether a rendering is empty, or of blanks only.
func (t *templateText) blank(values []string) bool {
	for i := range t.parts {
		p := &t.parts[i]
		if strings.TrimSpace(p.before) != "" || p.variable != none && strings.TrimSpace(p.value(values)) != "" {
			return false
		}
	}
	return true
}
