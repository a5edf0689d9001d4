package main

import (
	"strings"
	"testing"

	"portaria/messaging"
	"portaria/sandbox"
)

// No phone can link a test instance: who holds one up to the screen must be told
// what to do instead, and a live instance must be told nothing of it.
func TestATestInstanceShowsALinkForAPhone(t *testing.T) {
	const token = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	p := pairing{base: "https://gw.example", instance: messaging.Instance{Name: "shop", Environment: messaging.Test}}
	shown, below := p.scanned(sandbox.LinkQR(token))
	if want := "https://gw.example/sandbox/scan/" + token; shown != want || !strings.HasPrefix(below, want+"\n") {
		t.Errorf("the QR shows %q, and below it %q; want the link %s", shown, below, want)
	}
	if typed := p.typed("ABCD-EFGH"); !strings.Contains(typed, "portaria sandbox scan shop --code ABCD-EFGH") {
		t.Errorf("the code is shown as %q", typed)
	}

	p.instance.Environment = messaging.Live
	const live = "https://wa.me/settings/linked_devices#2@x"
	shown, below = p.scanned(live)
	if said := below + p.typed("ABCD-EFGH"); shown != live || strings.Contains(said, "sandbox") || strings.Count(said, "Linked devices") != 2 {
		t.Errorf("a live instance shows %q, and is said %q", shown, said)
	}
}
