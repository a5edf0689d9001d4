package auth

import (
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"portaria/internal/fault"
	"portaria/messaging"
)

// The bounds of a key's numbers, and what it gets when nothing is said.
const (
	DefaultRatePerMinute = 600
	MaxRatePerMinute     = 10_000_000
	MaxRateBurst         = 1_000_000
	MaxKeyNameLength     = 100
)

// burstShare is the part of a minute's rate that may come at once: a sixth,
// ten seconds' worth.
const burstShare = 6

// defaultBurst is the burst of a rate, unless told otherwise.
func defaultBurst(perMinute int64) int64 {
	return min((perMinute+burstShare-1)/burstShare, MaxRateBurst)
}

// NewKey is a key as its owner asks for it. Either AllInstances is set or
// Instances names at least one: a list that was meant to be filled and was not
// must not become a key that opens everything, or nothing.
type NewKey struct {
	Workspace         string
	Environment       messaging.Environment
	Name              string // 1 to MaxKeyNameLength characters
	Scopes            []string
	Instances         []string // ids
	AllInstances      bool
	RatePerMinute     int64         // zero: DefaultRatePerMinute
	RateBurst         int64         // zero: a sixth of RatePerMinute
	MessagesPerMinute int64         // zero: no limit of its own
	ExpiresIn         time.Duration // zero: never
}

// record checks the draft and turns it into a record that lacks only its token.
func (n NewKey) record(now time.Time) (Record, error) {
	var refused fault.Fields
	n.checkName(&refused)
	n.checkInstances(&refused)
	n.checkNumbers(&refused)
	if _, err := messaging.ParseEnvironment(string(n.Environment)); err != nil {
		refused.Add("environment", "enum", "must be live or test")
	}
	scopes, err := ParseScopes(n.Scopes, n.Environment)
	if f := fault.As(err); f != nil {
		fields, _ := f.Details()["fields"].([]fault.Field)
		refused = append(refused, fields...)
	}
	if err := refused.Err(); err != nil {
		return Record{}, err
	}
	r := Record{
		Workspace:         n.Workspace,
		Environment:       n.Environment,
		Name:              n.Name,
		Scopes:            strings.Join(scopes.Strings(), " "),
		AllInstances:      n.AllInstances,
		RatePerMinute:     n.RatePerMinute,
		RateBurst:         n.RateBurst,
		MessagesPerMinute: n.MessagesPerMinute,
		CreatedAt:         now,
	}
	if r.RatePerMinute == 0 {
		r.RatePerMinute = DefaultRatePerMinute
	}
	if r.RateBurst == 0 {
		r.RateBurst = defaultBurst(r.RatePerMinute)
	}
	if n.ExpiresIn > 0 {
		r.ExpiresAt = now.Add(n.ExpiresIn).Truncate(precision)
	}
	for _, id := range slices.Compact(slices.Sorted(slices.Values(n.Instances))) {
		r.Instances = append(r.Instances, AllowedInstance{ID: id})
	}
	return r, nil
}

func (n NewKey) checkName(refused *fault.Fields) {
	switch {
	case strings.TrimSpace(n.Name) == "":
		refused.Add("name", "required", "must not be empty")
	case !utf8.ValidString(n.Name) || strings.ContainsFunc(n.Name, unicode.IsControl):
		refused.Add("name", "format", "must be text without control characters")
	case utf8.RuneCountInString(n.Name) > MaxKeyNameLength:
		refused.Add("name", "max", "must have at most 100 characters")
	}
}

func (n NewKey) checkInstances(refused *fault.Fields) {
	switch {
	case n.AllInstances && len(n.Instances) > 0:
		refused.Add("instances", "exclusive", "must be empty for a key that opens all instances")
	case !n.AllInstances && len(n.Instances) == 0:
		refused.Add("instances", "required", "must name at least one instance, unless the key opens all instances")
	}
}

func (n NewKey) checkNumbers(refused *fault.Fields) {
	if n.RatePerMinute < 0 || n.RatePerMinute > MaxRatePerMinute {
		refused.Add("rate_per_minute", "range", "must be between 1 and 10,000,000")
	}
	if n.RateBurst < 0 || n.RateBurst > MaxRateBurst {
		refused.Add("rate_burst", "range", "must be between 1 and 1,000,000")
	}
	if n.MessagesPerMinute < 0 || n.MessagesPerMinute > MaxRatePerMinute {
		refused.Add("messages_per_minute", "range", "must be between 1 and 10,000,000")
	}
	if n.ExpiresIn < 0 {
		refused.Add("expires_in", "min", "must not be negative")
	}
}
