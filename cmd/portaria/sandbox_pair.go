package main

import (
	"fmt"

	"portaria/gateway"
	"portaria/messaging"
	"portaria/sandbox"
)

// typed says where a pairing code is typed. That of a test instance is typed on
// no phone.
func (p *pairing) typed(code string) string {
	if p.instance.Environment == messaging.Test {
		return fmt.Sprintf("    %s\nThis is a test instance: portaria sandbox scan %s --code %s plays the phone.\n", code, p.instance.Name, code)
	}
	return "On the phone: WhatsApp, Linked devices, Link a device, Link with phone number instead.\n\n    " + code + "\n"
}

// scanned returns what a QR shows, and what is said below it. That of a test
// instance is a link, whose page is the phone.
func (p *pairing) scanned(qr string) (shown, below string) {
	token, ok := sandbox.LinkToken(qr)
	if !ok {
		return qr, "On the phone: WhatsApp, Linked devices, Link a device. Then scan this code; it changes now and then.\n"
	}
	link := p.base + gateway.ScanPath + token
	return link, fmt.Sprintf("%s\nThis is a test instance: open that link, or portaria sandbox scan %s, to play the phone.\n", link, p.instance.Name)
}
