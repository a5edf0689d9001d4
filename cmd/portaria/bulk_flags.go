package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"portaria/internal/fault"
)

// inFlags says what was refused in the words of the command line. Programs get
// the server's own: they stay in the details.
func (cmd *bulkSendCmd) inFlags(err error) error {
	refused, ok := errors.AsType[*refusal](err)
	if !ok {
		return err
	}
	var said []fault.Field
	for _, f := range refused.fields() {
		// Two fields may come of one flag.
		if f = cmd.inFlag(f); !slices.Contains(said, f) {
			said = append(said, f)
		}
	}
	if columns := refused.columns(); len(said) > 0 && columns != "" {
		said[len(said)-1].Message += "; the columns of the file are " + columns
	}
	translated := *refused
	translated.said = said
	return &translated
}

// inFlag names the flag that filled a field, and another of which its message
// tells.
func (cmd *bulkSendCmd) inFlag(f fault.Field) fault.Field {
	named := fault.Field{Field: bulkFlagOf(f.Field), Message: f.Message}
	part, inner, _ := strings.Cut(f.Field, ".")
	switch {
	case part == "mapping" && cmd.Map[inner] != "":
		named.Field = printable("--map " + inner + "=" + cmd.Map[inner])
		if f.Rule == "not_found" {
			named.Message = fmt.Sprintf("the file has no column %q", cmd.Map[inner])
		}
	case part == "message" && cmd.Template != "":
		named.Field = "--template"
	case part == "message" && inner != "":
		named.Message = inner + ": " + named.Message
	case f.Field == "quiet_hours.time_zone" && f.Rule == "required":
		named.Message = "is required with --quiet"
	case f.Field == "send_at":
		named.Message = strings.Replace(f.Message, "time_zone", "--time-zone", 1)
	case f.Field == "file" && f.Rule == "required":
		named.Message = strings.Replace(f.Message, `mapping {"to":"phone"}`, "--map to=phone", 1)
	case part == "pace" && strings.HasSuffix(inner, "_ms"):
		named.Message += " milliseconds"
	}
	return named
}

// bulkFlagOf names the flag of bulk send that fills a field of the API.
func bulkFlagOf(field string) string {
	part, _, _ := strings.Cut(field, ".")
	switch part {
	case "mapping":
		return "--map"
	case "instances":
		return "--instance"
	case "dedupe":
		return "--no-dedupe"
	case "message", "name", "send_at", "time_zone", "dedupe_window", "frequency_cap", "on_invalid", "priority":
		return flagOf(part)
	}
	switch field {
	case "quiet_hours.time_zone":
		return "--time-zone"
	case "quiet_hours", "quiet_hours.from", "quiet_hours.to":
		return "--quiet"
	case "pace.min_gap_ms":
		return "--min-gap"
	case "pace.jitter_ms":
		return "--jitter"
	case "pace.per_hour":
		return "--per-hour"
	default:
		return field // of the file
	}
}

// columns lists the columns of the file, if that is what was wrong with it.
func (r *refusal) columns() string {
	list, _ := r.Details["columns"].([]any)
	names := make([]string, 0, len(list))
	for _, column := range list {
		names = append(names, fmt.Sprintf("%q", column))
	}
	return strings.Join(names, ", ")
}
