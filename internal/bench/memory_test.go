package main

import (
	"bytes"
	"encoding/json"
	"testing"

	"portaria/messaging"
)

// TestWeighedInstancesHaveReallySent: memory measured before the last message
// is read would show a queue, not an idle instance.
func TestWeighedInstancesHaveReallySent(t *testing.T) {
	h, err := newHouse(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := h.close(); err != nil {
			t.Error(err)
		}
	}()
	const n = 20
	h.all = make([]messaging.Instance, 0, n)
	if err := h.fill(t.Context(), "idle", n); err != nil {
		t.Fatal(err)
	}
	if err := h.sendFromAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	filter := messaging.MessageFilter{Status: messaging.StatusRead}
	read, err := h.store.Messages(t.Context(), h.tenancy, filter, messaging.Page{Limit: n + 1})
	if err != nil {
		t.Fatal(err)
	}
	if len(read) != n {
		t.Errorf("%d messages are read, want %d", len(read), n)
	}
}

func TestWeighingAnswersJSON(t *testing.T) {
	var out bytes.Buffer
	if err := weighInstances(t.Context(), []string{t.TempDir(), "500"}, &out); err != nil {
		t.Fatal(err)
	}
	var w weight
	if err := json.Unmarshal(out.Bytes(), &w); err != nil {
		t.Fatal(err)
	}
	if w.Idle <= 0 || w.Used <= w.Idle {
		t.Errorf("idle %.0f bytes, used %.0f: an instance weighs something, and more after use", w.Idle, w.Used)
	}
	for _, args := range [][]string{nil, {t.TempDir(), "many"}} {
		if err := weighInstances(t.Context(), args, &out); err == nil {
			t.Errorf("%v was weighed", args)
		}
	}
}
