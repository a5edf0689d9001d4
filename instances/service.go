package instances

import (
	"context"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"portaria/internal/fault"
	"portaria/messaging"
)

// namePattern is the shape of an instance's name (API.md section 5).
var namePattern = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,63}$`)

// maxObjectBytes bounds metadata and settings.
const maxObjectBytes = 16 << 10

// Resolve finds an instance by id or name. Fault: ErrNotFound, also for one
// that the tenancy's allowlist does not open.
func (m *Manager) Resolve(ctx context.Context, t messaging.Tenancy, ref string) (messaging.Instance, error) {
	m.mu.RLock()
	e, ok := m.byID[ref]
	if !ok {
		e, ok = m.byName[nameKey{t.Workspace(), t.Environment(), ref}]
	}
	var i messaging.Instance
	if ok {
		i = e.instance
	}
	m.mu.RUnlock()
	if !ok {
		// A command beside this server may have made it a moment ago.
		var err error
		if i, err = m.o.Store.FindInstance(ctx, t.Workspace(), t.Environment(), ref); err != nil {
			return messaging.Instance{}, err
		}
		m.put(ctx, i)
	}
	if i.WorkspaceID != t.Workspace() || i.Environment != t.Environment() || !t.Allowlist().Opens(i.ID) {
		return messaging.Instance{}, ErrNotFound
	}
	return i, nil
}

// List returns the instances that a tenancy opens, newest first: up to one
// more than page.Limit.
func (m *Manager) List(_ context.Context, t messaging.Tenancy, page messaging.Page) ([]messaging.Instance, error) {
	m.mu.RLock()
	var out []messaging.Instance
	for _, e := range m.byID {
		i := e.instance
		if i.WorkspaceID == t.Workspace() && i.Environment == t.Environment() && t.Allowlist().Opens(i.ID) &&
			(page.Cursor == "" || i.ID < page.Cursor) {
			out = append(out, i)
		}
	}
	m.mu.RUnlock()
	slices.SortFunc(out, func(a, b messaging.Instance) int { return strings.Compare(b.ID, a.ID) })
	return out[:min(len(out), page.Limit+1)], nil
}

// Create makes an instance. A test instance is connected at once, with a
// number of the sandbox; a live one waits to be linked. Faults:
// fault.ErrValidation, NAME_TAKEN.
func (m *Manager) Create(ctx context.Context, t messaging.Tenancy, draft Draft) (messaging.Instance, error) {
	if err := draft.validate(t.Environment()); err != nil {
		return messaging.Instance{}, err
	}
	now := m.o.Now(t).UTC().Truncate(time.Microsecond)
	i := messaging.Instance{
		ID: messaging.NewID(messaging.InstancePrefix, now), WorkspaceID: t.Workspace(), Environment: t.Environment(), Name: draft.Name,
		Driver: messaging.DriverWhatsApp, Desired: messaging.DesiredDisconnected, State: messaging.InstanceCreated,
		StateSince: now, Metadata: object(draft.Metadata), Settings: object(draft.Settings), CreatedAt: now,
	}
	if t.Environment() == messaging.Test {
		i.Driver = messaging.DriverSandbox
		if !draft.Unpaired {
			i.Desired, i.State, i.Phone = messaging.DesiredConnected, messaging.InstanceConnected, sandboxPhone()
		}
	}
	var claim *messaging.Claim
	if draft.ClaimFor != nil {
		var err error
		if claim, err = draft.ClaimFor(i); err != nil {
			return i, fmt.Errorf("claim: %w", err)
		}
	}
	if err := m.o.Store.InsertInstance(ctx, i, claim); err != nil {
		return messaging.Instance{}, err
	}
	m.put(ctx, i)
	return i, nil
}

// sandboxPhone draws the number of a test instance from +1 555 555 0000 to
// 9999: a range that belongs to no subscriber and is not one of the sandbox's
// magic recipients.
func sandboxPhone() string { return fmt.Sprintf("1555555%04d", rand.IntN(10000)) }

// Update merges a patch into an instance. Fault: ErrNotFound, fault.ErrValidation.
func (m *Manager) Update(ctx context.Context, t messaging.Tenancy, id string, patch Patch) (messaging.Instance, error) {
	i, err := m.Resolve(ctx, t, id)
	if err != nil {
		return i, err
	}
	if i.Metadata, err = merge("metadata", i.Metadata, patch.Metadata); err != nil {
		return i, err
	}
	if i.Settings, err = merge("settings", i.Settings, patch.Settings); err != nil {
		return i, err
	}
	if err := m.o.Store.UpdateInstance(ctx, i); err != nil {
		return i, err
	}
	m.put(ctx, i)
	return i, nil
}

// Delete takes an instance away and cancels what waits for it. Its messages
// stay readable. Fault: ErrNotFound.
func (m *Manager) Delete(ctx context.Context, t messaging.Tenancy, id string) (messaging.Instance, error) {
	i, err := m.Resolve(ctx, t, id)
	if err != nil {
		return i, err
	}
	i.Desired, i.StateSince = messaging.DesiredDisconnected, m.o.Now(t).UTC().Truncate(time.Microsecond)
	if err := m.o.Store.DeleteInstance(ctx, i); err != nil {
		return i, err
	}
	m.drop(i)
	return i, m.drain(ctx, i)
}

func (d *Draft) validate(env messaging.Environment) error {
	var fields fault.Fields
	if !namePattern.MatchString(d.Name) || strings.HasPrefix(d.Name, string(messaging.InstancePrefix)) {
		fields.Add("name", "pattern", "must be 1 to 64 of a-z 0-9 - _, begin with a letter or digit, and not with ins_")
	}
	if d.Unpaired && env == messaging.Live {
		fields.Add("sandbox", "environment", "is for test instances only")
	}
	checkObject(&fields, "metadata", d.Metadata)
	checkObject(&fields, "settings", d.Settings)
	return fields.Err()
}

func checkObject(fields *fault.Fields, name string, text []byte) {
	if len(text) > maxObjectBytes {
		fields.Add(name, "max_bytes", "must not be larger than 16 KiB")
		return
	}
	var v map[string]any
	if len(text) > 0 && json.Unmarshal(text, &v) != nil {
		fields.Add(name, "type", "must be a JSON object")
	}
}

func object(text []byte) []byte {
	if len(text) == 0 {
		return []byte("{}")
	}
	return text
}

// merge applies a JSON merge patch (RFC 7396) one level deep and below.
func merge(name string, old, patch []byte) ([]byte, error) {
	if len(patch) == 0 {
		return old, nil
	}
	var into, from map[string]any
	if err := json.Unmarshal(object(old), &into); err != nil {
		return nil, fmt.Errorf("stored %s: %w", name, err)
	}
	if err := json.Unmarshal(patch, &from); err != nil {
		return nil, fault.Fields{{Field: name, Rule: "type", Message: "must be a JSON object"}}.Err()
	}
	merged, err := json.Marshal(mergeObjects(into, from), json.Deterministic(true))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if len(merged) > maxObjectBytes {
		return nil, fault.Fields{{Field: name, Rule: "max_bytes", Message: "must not be larger than 16 KiB"}}.Err()
	}
	return merged, nil
}

func mergeObjects(into, from map[string]any) map[string]any {
	if into == nil {
		into = make(map[string]any, len(from))
	}
	for k, v := range from {
		switch v := v.(type) {
		case nil:
			delete(into, k)
		case map[string]any:
			old, _ := into[k].(map[string]any)
			into[k] = mergeObjects(old, v)
		default:
			into[k] = v
		}
	}
	return into
}
