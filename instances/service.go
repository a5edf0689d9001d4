package instances

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"portaria/internal/fault"
	"portaria/messaging"
)

// Resolve finds an instance by id or name. Fault: ErrNotFound, also for one
// that the tenancy's allowlist does not open.
func (m *Manager) Resolve(ctx context.Context, t messaging.Tenancy, ref string) (messaging.Instance, error) {
	i, since, ok := m.known(t, ref)
	if !ok {
		// A command beside this server may have made it a moment ago.
		var err error
		if i, err = m.o.Store.FindInstance(ctx, t.Workspace(), t.Environment(), ref); err != nil {
			return messaging.Instance{}, err
		}
		if i, ok = m.add(ctx, i, since); !ok {
			return messaging.Instance{}, ErrNotFound
		}
	}
	if i.WorkspaceID != t.Workspace() || i.Environment != t.Environment() || !t.Allowlist().Opens(i.ID) {
		return messaging.Instance{}, ErrNotFound
	}
	return i, nil
}

// Known finds an instance in memory alone: it never waits.
func (m *Manager) Known(t messaging.Tenancy, ref string) (messaging.Instance, bool) {
	i, _, ok := m.known(t, ref)
	ok = ok && i.WorkspaceID == t.Workspace() && i.Environment == t.Environment() && t.Allowlist().Opens(i.ID)
	return i, ok
}

// known finds an instance in memory, and tells the generation at which it
// looked. An id is found in any tenancy; the caller checks whose it is.
func (m *Manager) known(t messaging.Tenancy, ref string) (i messaging.Instance, at uint64, ok bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	e, ok := m.byID[ref]
	if !ok {
		e, ok = m.byName[nameKey{t.Workspace(), t.Environment(), ref}]
	}
	if ok {
		i = e.instance
	}
	return i, m.generation, ok
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
// fault.ErrValidation, NAME_TAKEN, proxy.ErrNotAllowed.
func (m *Manager) Create(ctx context.Context, t messaging.Tenancy, draft Draft) (messaging.Instance, error) {
	if err := draft.validate(t.Environment()); err != nil {
		return messaging.Instance{}, err
	}
	if err := m.o.Proxies.Admit(ctx, t.Environment(), draft.Settings); err != nil {
		return messaging.Instance{}, err
	}
	now := m.o.Now(t, draft.ID).UTC().Truncate(time.Microsecond)
	i := messaging.Instance{
		ID: cmp.Or(draft.ID, messaging.DrawID(ctx, messaging.InstancePrefix, now)), WorkspaceID: t.Workspace(), Environment: t.Environment(), Name: draft.Name,
		Driver: messaging.DriverWhatsApp, Desired: messaging.DesiredDisconnected, State: messaging.InstanceCreated,
		StateSince: now, Metadata: object(draft.Metadata), CreatedAt: now,
	}
	settings, err := m.o.Proxies.Keep(&i, object(draft.Settings))
	if err != nil {
		return messaging.Instance{}, err
	}
	i.Settings = settings
	if t.Environment() == messaging.Test {
		i.Driver = messaging.DriverSandbox
		if !draft.Unpaired {
			i.Desired, i.State, i.Phone = messaging.DesiredConnected, messaging.InstanceConnected, messaging.DrawSandboxPhone(ctx)
			i.LinkedID = i.Phone
		}
	}
	var claim *messaging.Claim
	if draft.ClaimFor != nil {
		if claim, err = draft.ClaimFor(i); err != nil {
			return i, fmt.Errorf("claim: %w", err)
		}
	}
	since := m.now()
	if err := m.o.Store.InsertInstance(ctx, i, claim); err != nil {
		return messaging.Instance{}, err
	}
	m.add(ctx, i, since) // not if another request has deleted it already
	return i, nil
}

// Update merges a patch into an instance. Patches of several callers, in
// whatever process, are merged one after the other. Another proxy makes a live
// instance's connection anew. Faults: ErrNotFound, fault.ErrValidation,
// proxy.ErrNotAllowed.
func (m *Manager) Update(ctx context.Context, t messaging.Tenancy, id string, patch Patch) (messaging.Instance, error) {
	i, err := m.Resolve(ctx, t, id)
	if err != nil || (len(patch.Metadata) == 0 && len(patch.Settings) == 0) {
		return i, err
	}
	if err := m.o.Proxies.Admit(ctx, t.Environment(), patch.Settings); err != nil {
		return messaging.Instance{}, err
	}
	apply := func(i *messaging.Instance) error { return patch.apply(i, m.o.Proxies) }
	return m.change(ctx, i, apply, func(known *messaging.Instance, i messaging.Instance) {
		known.Metadata, known.Settings = i.Metadata, i.Settings
	})
}

// Delete takes an instance away and cancels what waits for it. Its messages
// stay readable. The phone of a live instance is unlinked first, if that can be
// done in a few seconds: its owner should not have to find out what "another
// device" is. Its session is deleted either way. Fault: ErrNotFound.
func (m *Manager) Delete(ctx context.Context, t messaging.Tenancy, id string) (messaging.Instance, error) {
	i, err := m.Resolve(ctx, t, id)
	if err != nil {
		return i, err
	}
	if i.Environment == messaging.Live && i.Linked() {
		m.unlink(ctx, t, i)
	}
	i.Desired, i.StateSince = messaging.DesiredDisconnected, m.o.Now(t, i.ID).UTC().Truncate(time.Microsecond)
	if err := m.o.Store.DeleteInstance(ctx, i); err != nil {
		return i, err
	}
	m.drop(ctx, i)
	return i, m.drain(ctx, i)
}

// unlinkPatience bounds how long a deletion waits for the phone to be unlinked.
const unlinkPatience = 5 * time.Second

// unlink logs an instance out, as far as that can be done in a few seconds by
// the process that has its channel: this one, or a server beside it.
func (m *Manager) unlink(ctx context.Context, t messaging.Tenancy, i messaging.Instance) {
	wait, cancel := context.WithTimeout(ctx, unlinkPatience)
	defer cancel()
	if _, err := m.Logout(wait, t, i.ID); err != nil {
		m.o.Logger.Warn("instance deleted without a logout", "instance", i.ID, "error", err)
		return
	}
	look := time.NewTicker(pairingLook)
	defer look.Stop()
	for {
		now, err := m.o.Store.FindInstance(wait, i.WorkspaceID, i.Environment, i.ID)
		if err == nil && now.Ask != messaging.AskLogout || errors.Is(err, ErrNotFound) {
			return
		}
		select {
		case <-look.C:
		case <-wait.Done():
			m.o.Logger.Warn("instance deleted before its logout was done", "instance", i.ID)
			return
		}
	}
}

func (d *Draft) validate(env messaging.Environment) error {
	var fields fault.Fields
	CheckName(&fields, d.Name)
	if d.Unpaired && env == messaging.Live {
		fields.Add("sandbox", "environment", "is for test instances only")
	}
	checkObject(&fields, "metadata", d.Metadata, maxMetadataBytes)
	checkObject(&fields, "settings", d.Settings, maxSettingsBytes)
	return fields.Err()
}
