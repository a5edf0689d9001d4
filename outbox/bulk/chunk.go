package bulk

import (
	"fmt"
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// StoredRow is a row as a chunk holds it. Names stay: chunks outlive versions.
type StoredRow struct {
	Number    int64          `json:"n"`
	Input     string         `json:"i"`           // the recipient as it was written
	WAID      string         `json:"w,omitzero"`  // empty: it cannot be an address
	Variables jsontext.Value `json:"v,omitempty"` // an object of strings, none empty in newer chunks; empty: no variables
	Reason    string         `json:"r,omitzero"`  // why it was skipped when the bulk was accepted; empty: it was not
	Why       string         `json:"y,omitzero"`  // the same in a sentence
}

// append writes the row as json.Marshal does. It is written by hand because
// 100,000 of them are written while somebody waits. Texts are valid UTF-8.
func (r *StoredRow) append(to []byte) []byte {
	to = append(to, `{"n":`...)
	to = strconv.AppendInt(to, r.Number, 10)
	to = appendText(append(to, `,"i":`...), r.Input)
	if r.WAID != "" {
		to = appendText(append(to, `,"w":`...), r.WAID)
	}
	if len(r.Variables) > 0 {
		to = append(append(to, `,"v":`...), r.Variables...)
	}
	if r.Reason != "" {
		to = appendText(append(to, `,"r":`...), r.Reason)
	}
	if r.Why != "" {
		to = appendText(append(to, `,"y":`...), r.Why)
	}
	return append(to, '}')
}

// appendVariables writes an object of strings with the variables that are not
// empty, for an empty one is as good as none; nothing when there are none. They do
// not fit when they have more than maxVariables bytes: then nothing is written.
func appendVariables(to []byte, names, values []string) (out []byte, fit bool) {
	begin := len(to)
	for i, value := range values {
		if value == "" {
			continue
		}
		if len(to)-begin+len(names[i])+len(value) > maxVariables {
			return to[:begin], false // before it is written: escaped it may be much longer
		}
		sign := byte(',')
		if len(to) == begin {
			sign = '{'
		}
		to = appendText(append(to, sign), names[i])
		to = appendText(append(to, ':'), value)
	}
	if len(to) > begin {
		to = append(to, '}')
	}
	if len(to)-begin > maxVariables {
		return to[:begin], false
	}
	return to, true
}

// appendText writes a JSON string. What is not UTF-8 in it is replaced.
func appendText(to []byte, s string) []byte {
	out, _ := jsontext.AppendQuote(to, s) // its only error is what it has replaced
	return out
}

// Decode returns the rows of a chunk.
func (c *Chunk) Decode() (rows []StoredRow, err error) {
	if err := json.Unmarshal(c.Data, &rows); err != nil {
		return nil, fmt.Errorf("decode rows from %d: %w", c.First, err)
	}
	return rows, nil
}

// values returns what a row has for variables, in their order.
func (r *StoredRow) values(variables []string) ([]string, error) {
	out := make([]string, len(variables))
	if len(variables) == 0 || len(r.Variables) == 0 {
		return out, nil
	}
	var all map[string]string
	if err := json.Unmarshal(r.Variables, &all); err != nil {
		return nil, fmt.Errorf("variables of row %d: %w", r.Number, err)
	}
	for i, name := range variables {
		out[i] = all[name]
	}
	return out, nil
}
