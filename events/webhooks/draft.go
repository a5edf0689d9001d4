package webhooks

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"portaria/internal/fault"
	"portaria/messaging"
)

// The bounds of what an endpoint may say.
const (
	maxURL         = 2048 // bytes
	maxDescription = 256  // characters
	maxEvents      = 50
	maxInstances   = 1000
)

// Patch is what a caller changes of an endpoint; nil leaves a field alone.
type Patch struct {
	URL         *string
	Description *string
	Events      *[]string // types, families as message.*, or * for all
	// Instances are ids of the endpoint's world, which the caller has looked up. A
	// pointer to nil stands for all instances, which a caller locked to some may not
	// ask for.
	Instances   *[]string
	Chats       *messaging.Chats
	Ordered     *bool
	Enabled     *bool
	MaxAttempts *int             // 0: as many as the schedule has
	Schedule    *[]time.Duration // a pointer to nil stands for the usual one
}

// Draft is a new endpoint as its maker asks for it. URL must be set.
type Draft struct {
	Patch

	// ClaimFor makes the claim that is stored with the endpoint; nil for none.
	ClaimFor func(messaging.Webhook) (*messaging.Claim, error)
}

// check refuses what no endpoint of a tenancy may be.
// Faults: fault.ErrValidation, ErrInstanceNotAllowed.
func (p *Patch) check(t messaging.Tenancy) error {
	var fields fault.Fields
	if p.URL != nil {
		checkURL(&fields, *p.URL)
	}
	if p.Description != nil && (!utf8.ValidString(*p.Description) || utf8.RuneCountInString(*p.Description) > maxDescription) {
		fields.Add("description", "max_length", "must have at most 256 characters")
	}
	if p.Events != nil {
		checkEvents(&fields, *p.Events)
	}
	if p.Instances != nil && *p.Instances != nil && (len(*p.Instances) == 0 || len(*p.Instances) > maxInstances) {
		fields.Add("instances", "length", "must name 1 to 1000 instances, or be null for all")
	}
	if p.Chats != nil && !slices.Contains([]messaging.Chats{messaging.AllChats, messaging.DirectChats, messaging.GroupChats}, *p.Chats) {
		fields.Add("chats", "enum", "must be all, direct or group")
	}
	p.checkPolicy(&fields)
	if err := fields.Err(); err != nil {
		return err
	}
	return p.checkInstances(t.Allowlist())
}

func (p *Patch) checkPolicy(fields *fault.Fields) {
	if p.MaxAttempts != nil && (*p.MaxAttempts < 0 || *p.MaxAttempts > MaxAttempts) {
		fields.Add("retry_policy.max_attempts", "range", "must lie between 1 and 50")
	}
	if p.Schedule == nil || *p.Schedule == nil {
		return
	}
	if n := len(*p.Schedule); n == 0 || n > MaxAttempts {
		fields.Add("retry_policy.schedule", "length", "must have 1 to 50 waits")
	}
	for i, wait := range *p.Schedule {
		if wait < 0 || wait > MaxWait {
			fields.Add("retry_policy.schedule["+strconv.Itoa(i)+"]", "range", "must lie between 0s and 7d")
		}
	}
}

// checkInstances keeps a caller who is locked to some instances from hearing of
// others.
func (p *Patch) checkInstances(open messaging.Allowlist) error {
	if p.Instances == nil || open.All() {
		return nil
	}
	if *p.Instances == nil || slices.ContainsFunc(*p.Instances, func(id string) bool { return !open.Opens(id) }) {
		return ErrInstanceNotAllowed
	}
	return nil
}

// checkURL notes why a text is no URL of an endpoint. Its scheme and where it
// leads are for admitURL.
func checkURL(fields *fault.Fields, text string) {
	refuse := func(rule, message string) { fields.Add("url", rule, message) }
	if len(text) > maxURL {
		refuse("max_length", "must have at most 2048 bytes")
		return
	}
	u, err := url.Parse(text)
	switch {
	case text == "":
		refuse("required", "is required")
	case err != nil || u.Scheme == "" || u.Opaque != "" || u.Hostname() == "":
		refuse("url", "must be an absolute URL, as in https://example.com/webhooks")
	case u.User != nil:
		refuse("userinfo", "must not hold a name or a password")
	case u.Fragment != "" || strings.Contains(text, "#"):
		refuse("fragment", "must not have a fragment")
	case !validPort(u):
		refuse("port", "must have a port between 1 and 65535, or none")
	}
}

func validPort(u *url.URL) bool {
	if u.Port() == "" {
		return !strings.HasSuffix(u.Host, ":")
	}
	port, err := strconv.ParseUint(u.Port(), 10, 16)
	return err == nil && port > 0
}

// lookPatience bounds the question where a URL's host leads.
const lookPatience = 3 * time.Second

// admitURL refuses a URL that may not be used here: plain HTTP, another scheme,
// a host that is not public. Fault: ErrURLNotAllowed.
func (s *Endpoints) admitURL(ctx context.Context, text string) error {
	u, err := url.Parse(text)
	if err != nil {
		return fmt.Errorf("parse a URL that was checked: %w", err)
	}
	if u.Scheme != "https" && (u.Scheme != "http" || !s.allowHTTP) {
		return ErrURLNotAllowed
	}
	ctx, cancel := context.WithTimeout(ctx, lookPatience)
	defer cancel()
	if !s.guard.Leads(ctx, u.Hostname()) {
		return ErrURLNotAllowed
	}
	return nil
}

// apply changes an endpoint as the patch says. An endpoint that is switched on
// again starts without its past failures.
func (p *Patch) apply(w *messaging.Webhook) {
	if p.URL != nil && *p.URL != w.URL {
		w.FailingSince = time.Time{} // it was another place that failed
	}
	set(&w.URL, p.URL)
	set(&w.Description, p.Description)
	set(&w.Chats, p.Chats)
	set(&w.Ordered, p.Ordered)
	set(&w.MaxAttempts, p.MaxAttempts)
	if p.Events != nil {
		w.Events = distinct(*p.Events)
	}
	if p.Instances != nil {
		w.Instances = distinct(*p.Instances)
	}
	if p.Schedule != nil {
		w.Schedule = slices.Clone(*p.Schedule)
	}
	if p.Enabled == nil || *p.Enabled == w.Enabled {
		return
	}
	w.Enabled = *p.Enabled
	if w.Enabled {
		w.DisabledReason, w.DisabledAt, w.FailingSince = "", time.Time{}, time.Time{}
	}
}

func set[T any](field, value *T) {
	if value != nil {
		*field = *value
	}
}

// distinct copies a list without what comes again; nil stays nil.
func distinct(list []string) []string {
	if list == nil {
		return nil
	}
	out := make([]string, 0, len(list))
	for _, s := range list {
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}
