package bulk

import (
	"bytes"
	"strings"

	"github.com/go-json-experiment/json"

	"portaria/messaging"
)

// defaultKeywords opt a contact out who writes one of them and nothing else.
// Nobody writes to it.
var defaultKeywords = []string{"SAIR", "PARAR", "STOP"}

// Keywords returns the words by which contacts of an instance opt out: those of
// its settings (opt_out_keywords), which may be none, or SAIR, PARAR and STOP.
// Callers must not change the list.
func Keywords(settings []byte) []string {
	if !bytes.Contains(settings, []byte(`"opt_out_keywords"`)) {
		return defaultKeywords
	}
	var s struct {
		Keywords *[]string `json:"opt_out_keywords"`
	}
	if json.Unmarshal(settings, &s) != nil || s.Keywords == nil {
		return defaultKeywords
	}
	return *s.Keywords
}

// IsOptOut reports whether a contact opts out of an instance's bulks with an
// inbound message, and by which of its keywords: the word alone, in any case,
// with any blanks around it. What is written in a group opts nobody out.
func IsOptOut(m *messaging.Message, i *messaging.Instance) (keyword string, ok bool) {
	if m.Direction != messaging.Inbound || m.Content.Text == nil || m.Peer.Group() != "" {
		return "", false
	}
	text := strings.TrimSpace(m.Content.Text.Body)
	if text == "" || len(text) > maxKeyword {
		return "", false
	}
	for _, word := range Keywords(i.Settings) {
		if strings.EqualFold(text, strings.TrimSpace(word)) {
			return word, true
		}
	}
	return "", false
}

// maxKeyword is longer than any keyword, in bytes.
const maxKeyword = 1024
