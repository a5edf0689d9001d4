package wasim

import (
	waBinary "go.mau.fi/whatsmeow/binary"
)

// accountIQs are the requests about the account itself, most of which the
// simulator has nothing to tell about.
func accountIQs() map[iqKey]iqHandler {
	return map[iqKey]iqHandler{
		{"w:p", "get", ""}:                       empty, // the sign of life
		{"passive", "set", ""}:                   empty,
		{"passive", "set", "active"}:             activate,
		{"privacy", "set", "tokens"}:             empty,
		{"privacy", "set", "privacy"}:            empty,
		{"privacy", "get", "privacy"}:            privacySettings,
		{"urn:xmpp:whatsapp:dirty", "set", ""}:   empty,
		{"urn:xmpp:whatsapp:push", "set", ""}:    empty,
		{"urn:xmpp:whatsapp:push", "get", ""}:    empty,
		{"status", "set", ""}:                    empty,
		{"status", "get", "privacy"}:             notSet,
		{"disappearing_mode", "set", ""}:         empty,
		{"disappearing_mode", "get", ""}:         empty,
		{"blocklist", "get", ""}:                 blocklist,
		{"blocklist", "set", ""}:                 blocklist,
		{"w:profile:picture", "get", ""}:         notSet,
		{"w:biz", "get", ""}:                     businessProfile,
		{"w:sync:app:state", "set", "sync"}:      syncAppState,
		{"md", "set", "remove-companion-device"}: removeCompanion,
	}
}

func empty(*conn, *waBinary.Node) ([]waBinary.Node, error) { return nil, nil }

// notSet answers for what nobody has: a picture, say.
func notSet(*conn, *waBinary.Node) ([]waBinary.Node, error) { return nil, errNotFound() }

func privacySettings(*conn, *waBinary.Node) ([]waBinary.Node, error) {
	names := []string{"readreceipts", "profile", "status", "online", "last", "groupadd", "calladd", "messages", "defense", "stickers"}
	settings := make([]waBinary.Node, len(names))
	for i, name := range names {
		settings[i] = waBinary.Node{Tag: "category", Attrs: waBinary.Attrs{"name": name, "value": "all"}}
	}
	return []waBinary.Node{{Tag: "privacy", Content: settings}}, nil
}

func blocklist(*conn, *waBinary.Node) ([]waBinary.Node, error) {
	return []waBinary.Node{{Tag: "list", Attrs: waBinary.Attrs{"dhash": "none"}}}, nil
}

func businessProfile(_ *conn, iq *waBinary.Node) ([]waBinary.Node, error) {
	asked := child(child(iq, "business_profile"), "profile")
	return []waBinary.Node{{
		Tag:     "business_profile",
		Content: []waBinary.Node{{Tag: "profile", Attrs: waBinary.Attrs{"jid": jid(asked, "jid")}}},
	}}, nil
}

// removeCompanion is a client that logs out: its device is unlinked.
func removeCompanion(c *conn, _ *waBinary.Node) ([]waBinary.Node, error) {
	c.device.account.unlink(c.device)
	return nil, nil
}
