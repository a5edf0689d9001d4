package main

import (
	"cmp"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"portaria/messaging"
)

// eventPrinter shows events on standard output, and what happens to them: beside
// them for people, on standard error when standard output is for programs.
type eventPrinter struct {
	streams

	json bool
	mu   sync.Mutex // guards the two outputs
}

// event shows an event; remark says something of it to people.
func (p *eventPrinter) event(e toldEvent, remark string) error {
	line := e.String()
	if p.json {
		line = e.line()
	} else if remark != "" {
		line += "  (" + remark + ")"
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	_, err := fmt.Fprintln(p.out, line)
	return err
}

// forwarded shows what a program made of an event.
func (p *eventPrinter) forwarded(id string, o outcome) {
	p.beside("  %s forwarded: %s", printable(id), o)
}

// beside tells what happened to an event.
func (p *eventPrinter) beside(format string, values ...any) {
	to := p.out
	if p.json {
		to = p.err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	fmt.Fprintf(to, format+"\n", values...)
}

// note tells what is not about an event.
func (p *eventPrinter) note(format string, values ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	fmt.Fprintf(p.err, "portaria: "+format+"\n", values...)
}

// failure tells programs in one line, behind the events, what has ended the
// command. Wrong usage comes before all events, and is told as usual.
func (p *eventPrinter) failure(err error) error {
	if err == nil || !p.json {
		return err
	}
	f := describe(err)
	if f.exit == exitUsage {
		return err
	}
	line, encodeErr := json.Marshal(map[string]failure{"error": f}, json.Deterministic(true))
	if encodeErr != nil {
		return errors.Join(err, encodeErr)
	}
	fmt.Fprintln(p.out, string(line))
	told := fmt.Sprintf("%s (%s)", f.Message, f.Code)
	if f.cause != nil {
		told += "\n  cause: " + f.cause.Error()
	}
	return toldError(told)
}

// toldEvent is what people want to know of an event.
type toldEvent struct {
	ID         string `json:"id"`
	Type       string `json:"type"`
	InstanceID string `json:"instance_id"`
	Timestamp  string `json:"timestamp"`
	Data       struct {
		Message  *toldMessage  `json:"message"`
		Instance *toldInstance `json:"instance"`
		Call     *toldCall     `json:"call"`
		Webhook  *toldWebhook  `json:"webhook"`
	} `json:"data"`

	received jsontext.Value
}

type (
	toldMessage struct {
		Direction messaging.Direction  `json:"direction"`
		From      *toldAddress         `json:"from"`
		To        *toldAddress         `json:"to"`
		Type      messaging.Kind       `json:"type"`
		Status    messaging.Status     `json:"status"`
		Error     *messaging.SendError `json:"error"`
		Content   toldContent          `json:"content"`
	}
	// toldContent is the words in a content of any kind.
	toldContent struct {
		Body     string `json:"body"`
		Caption  string `json:"caption"`
		Filename string `json:"filename"`
		Emoji    string `json:"emoji"`
		Name     string `json:"name"`
		Question string `json:"question"`
		Contacts []struct {
			Name struct {
				FormattedName string `json:"formatted_name"`
			} `json:"name"`
		} `json:"contacts"`
	}
	toldAddress struct {
		WAID string `json:"wa_id"`
	}
	toldInstance struct {
		Name   string `json:"name"`
		State  string `json:"state"`
		Reason string `json:"state_reason"`
	}
	toldCall struct {
		From  toldAddress `json:"from"`
		Video bool        `json:"video"`
	}
	toldWebhook struct {
		ID     string `json:"id"`
		URL    string `json:"url"`
		Reason string `json:"disabled_reason"`
	}
)

// readEvent reads what it understands of an event; what it does not, it shows as
// it came.
func readEvent(received jsontext.Value) toldEvent {
	e := toldEvent{received: received}
	if json.Unmarshal(received, &e) != nil {
		return toldEvent{received: received}
	}
	return e
}

// line is the event as it came, in one line.
func (e toldEvent) line() string {
	line := jsontext.Value(strings.Clone(string(e.received)))
	if line.Compact() != nil {
		return strconv.Quote(string(e.received)) // a JSON string at least
	}
	return string(line)
}

// String shows the event to people: strangers wrote parts of it, so nothing in
// it may move their cursor.
func (e toldEvent) String() string {
	if e.Type == "" {
		return shortened(string(e.received))
	}
	at := e.Timestamp
	if t, err := time.Parse(time.RFC3339, at); err == nil {
		at = instant(t).String()
	}
	words := []string{at, e.ID, fmt.Sprintf("%-18s", e.Type), orDash(e.InstanceID)}
	switch {
	case e.Data.Message != nil:
		words = append(words, e.Data.Message.words()...)
	case e.Data.Instance != nil:
		words = append(words, e.Data.Instance.Name, e.Data.Instance.State, e.Data.Instance.Reason)
	case e.Data.Call != nil:
		words = append(words, "from "+e.Data.Call.From.WAID)
	case e.Data.Webhook != nil:
		words = append(words, e.Data.Webhook.ID, e.Data.Webhook.URL, e.Data.Webhook.Reason)
	}
	var line []string
	for _, word := range words {
		if word != "" {
			line = append(line, printable(word))
		}
	}
	return strings.Join(line, "  ")
}

func (m *toldMessage) words() []string {
	words := []string{string(m.Direction), "", string(m.Status)}
	switch {
	case m.From != nil:
		words[1] = "from " + m.From.WAID
	case m.To != nil:
		words[1] = "to " + m.To.WAID
	}
	if m.Error != nil {
		words = append(words, m.Error.Code)
	}
	if m.Type != messaging.KindText {
		words = append(words, string(m.Type))
	}
	if text := m.Content.text(); text != "" {
		words = append(words, shortened(text))
	}
	return words
}

// text returns what tells a content from others.
func (c *toldContent) text() string {
	if len(c.Contacts) > 0 {
		return c.Contacts[0].Name.FormattedName
	}
	return cmp.Or(c.Body, c.Caption, c.Filename, c.Emoji, c.Name, c.Question)
}

// shownText is how much of a text is shown, in characters.
const shownText = 60

// shortened quotes the beginning of a text.
func shortened(text string) string {
	if utf8.RuneCountInString(text) > shownText {
		text = string([]rune(text)[:shownText-1]) + "…"
	}
	return `"` + printable(text) + `"`
}

// printable replaces what could move the cursor, or hide what follows.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsGraphic(r) && r != utf8.RuneError {
			return r
		}
		return '·'
	}, text)
}
