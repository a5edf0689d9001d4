package main

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"portaria/internal/fault"
)

// usageError is wrong usage: one sentence that names the flag. It ends a
// command with exitUsage.
type usageError string

// Error implements error.
func (e usageError) Error() string { return redact(string(e)) }

// toldError is a failure of which standard output tells already, as the
// doctor's findings. The sentence, if any, is for people.
type toldError string

// Error implements error.
func (e toldError) Error() string { return string(e) }

// toldUsage is a toldError that ends a command with exitUsage.
type toldUsage string

// Error implements error.
func (e toldUsage) Error() string { return string(e) }

// failure is what a command says when it fails; it is also the JSON document
// of a command that was asked for one.
type failure struct {
	Code    string         `json:"code"`
	Message string         `json:"message"`
	Details map[string]any `json:"details"`

	cause error
	exit  int
}

// fail tells people on standard error, and programs on standard output when
// they asked for JSON, what went wrong. It returns the exit code.
func fail(io streams, asJSON bool, err error) int {
	if told, ok := errors.AsType[toldError](err); ok {
		if told != "" {
			fmt.Fprintln(io.err, "portaria:", told)
		}
		return exitFailed
	}
	if told, ok := errors.AsType[toldUsage](err); ok {
		if told != "" {
			fmt.Fprintln(io.err, "portaria:", told)
		}
		return exitUsage
	}
	f := describe(err)
	fmt.Fprintf(io.err, "portaria: %s (%s)\n", f.Message, f.Code)
	if f.cause != nil {
		fmt.Fprintln(io.err, "  cause:", f.cause)
	}
	if asJSON {
		if err := printJSON(io, map[string]failure{"error": f}); err != nil {
			fmt.Fprintln(io.err, "portaria:", err)
		}
	}
	return f.exit
}

// describe turns an error into what is said of it.
func describe(err error) failure {
	if wrong, ok := errors.AsType[usageError](err); ok {
		return failure{Code: "WRONG_USAGE", Message: wrong.Error(), exit: exitUsage}
	}
	if refused, ok := errors.AsType[*refusal](err); ok {
		return failure{Code: refused.Code, Message: withFields(refused.Message, refused.fields()), Details: refused.Details, exit: exitFailed}
	}
	f := fault.As(err)
	if f == nil {
		return failure{Code: "INTERNAL", Message: err.Error(), exit: exitFailed}
	}
	told := failure{Code: f.Code(), Message: f.Message(), Details: f.Details(), cause: errors.Unwrap(f), exit: exitFailed}
	if fields, ok := f.Details()["fields"].([]fault.Field); ok {
		told.Message = withFields("", fields)
	}
	if f.Kind() == fault.Malformed || f.Kind() == fault.Invalid {
		told.exit = exitUsage
	}
	return told
}

// withFields puts refused fields behind a sentence.
func withFields(sentence string, fields []fault.Field) string {
	said := make([]string, 0, len(fields))
	for _, field := range fields {
		said = append(said, field.Field+": "+field.Message)
	}
	return strings.TrimSpace(sentence + " " + strings.Join(said, "; "))
}

// asFlags turns the refused fields of a room into wrong usage of the flags
// that filled them.
func asFlags(err error) error {
	f := fault.As(err)
	if f == nil {
		return err
	}
	fields, ok := f.Details()["fields"].([]fault.Field)
	if !ok {
		return err
	}
	named := make([]fault.Field, len(fields))
	for i, field := range fields {
		field.Field = flagOf(field.Field)
		named[i] = field
	}
	return usageError(withFields("", named))
}

// flagOf names the flag that fills a field.
func flagOf(field string) string {
	switch field {
	case "scopes":
		return "--scope"
	case "instances":
		return "--instance"
	case "expires_in":
		return "--expires"
	case "sandbox":
		return "--unpaired"
	default:
		return "--" + strings.ReplaceAll(field, "_", "-")
	}
}

// tokenInText finds what may be a token in a text for people.
var tokenInText = regexp.MustCompile(`sk_(live|test)_[0-9A-Za-z]+`)

// redact keeps a token that was given where none belongs, say as an argument,
// out of terminals and logs.
func redact(text string) string { return tokenInText.ReplaceAllString(text, "sk_${1}_…") }
