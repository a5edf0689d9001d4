package main

import (
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"portaria/messaging"
)

// bulkBody is all of a bulk but its rows.
type bulkBody struct {
	Instances    []string          `json:"instances,omitempty"`
	Name         string            `json:"name,omitzero"`
	Message      jsontext.Value    `json:"message"`
	Mapping      map[string]string `json:"mapping,omitempty"`
	SendAt       string            `json:"send_at,omitzero"`
	TimeZone     string            `json:"time_zone,omitzero"`
	Pace         *bulkPace         `json:"pace,omitzero"`
	QuietHours   *bulkQuiet        `json:"quiet_hours,omitzero"`
	Dedupe       bool              `json:"dedupe"`
	DedupeWindow string            `json:"dedupe_window,omitzero"`
	FrequencyCap *bulkCap          `json:"frequency_cap,omitzero"`
	OnInvalid    string            `json:"on_invalid,omitzero"`
	Priority     string            `json:"priority,omitzero"`
}

type bulkPace struct {
	MinGapMS int64 `json:"min_gap_ms,omitzero"`
	JitterMS int64 `json:"jitter_ms,omitzero"`
	PerHour  int   `json:"per_hour,omitzero"`
}

type bulkQuiet struct {
	From     string `json:"from"`
	To       string `json:"to"`
	TimeZone string `json:"time_zone,omitzero"`
}

type bulkCap struct {
	Max int    `json:"max"`
	Per string `json:"per"`
}

// body makes the options of the flags, and checks what the server could not say
// of a flag.
func (cmd *bulkSendCmd) body() (b bulkBody, err error) {
	b = bulkBody{
		Name: cmd.Name, Mapping: cmd.Map, SendAt: cmd.SendAt, TimeZone: cmd.TimeZone,
		Dedupe: cmd.Dedupe, OnInvalid: cmd.OnInvalid, Priority: cmd.Priority,
	}
	if b.Message, err = cmd.message(); err != nil {
		return b, err
	}
	if cmd.DedupeWindow != nil {
		b.DedupeWindow = messaging.FormatDuration(time.Duration(*cmd.DedupeWindow))
	}
	if cmd.MinGap != nil || cmd.Jitter != nil || cmd.PerHour != 0 {
		b.Pace = &bulkPace{MinGapMS: milliseconds(cmd.MinGap), JitterMS: milliseconds(cmd.Jitter), PerHour: cmd.PerHour}
	}
	if cmd.Quiet != "" {
		from, to, found := strings.Cut(cmd.Quiet, "-")
		if !found {
			return b, usageError("--quiet: must be two times of day, as 21:00-08:00")
		}
		b.QuietHours = &bulkQuiet{From: strings.TrimSpace(from), To: strings.TrimSpace(to), TimeZone: cmd.TimeZone}
	}
	if cmd.FrequencyCap != "" {
		b.FrequencyCap, err = readCap(cmd.FrequencyCap)
	}
	return b, err
}

func milliseconds(d *duration) int64 {
	if d == nil {
		return 0
	}
	return time.Duration(*d).Milliseconds()
}

// readCap reads a cap as 2/7d.
func readCap(text string) (*bulkCap, error) {
	count, per, _ := strings.Cut(text, "/")
	most, err := strconv.Atoi(count)
	if err == nil {
		_, err = messaging.ParseDuration(per)
	}
	if err != nil {
		return nil, usageError("--frequency-cap: must be a number and a duration, as 2/7d")
	}
	return &bulkCap{Max: most, Per: per}, nil
}

// message is what the bulk says, with its placeholders.
func (cmd *bulkSendCmd) message() (jsontext.Value, error) {
	if cmd.Template != "" {
		text, err := json.Marshal(map[string]string{"text": cmd.Template})
		if err != nil {
			return nil, usageError("--template: must be valid UTF-8")
		}
		return text, nil
	}
	text := []byte(cmd.Message)
	if name, isFile := strings.CutPrefix(cmd.Message, "@"); isFile {
		var err error
		if text, err = os.ReadFile(name); err != nil {
			return nil, usageError("--message: " + err.Error())
		}
	}
	message := jsontext.Value(text)
	switch {
	case len(text) == 0:
		return nil, usageError("--template: say what to send, or --message for another kind than text")
	case message.Compact() != nil || message.Kind() != '{':
		return nil, usageError(`--message: must be a JSON object, as {"type":"image","image":{"url":"https://…"},"caption":"Olá {{name}}"}`)
	}
	return message, nil
}
