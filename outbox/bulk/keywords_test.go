package bulk_test

import (
	"testing"

	"portaria/messaging"
	"portaria/outbox/bulk"
)

func TestWhoWritesAKeywordAndNothingElseOptsOut(t *testing.T) {
	const own = `{"opt_out_keywords":["Não, obrigado"," CANCELAR "]}`
	for _, c := range []struct {
		settings, body, want string
	}{
		{`{}`, "SAIR", "SAIR"},
		{`{}`, "  parar\n", "PARAR"},
		{``, "Stop", "STOP"},
		{`{}`, "stop it", ""},
		{`{}`, "", ""},
		{`{}`, "please STOP", ""},
		{own, "NÃO, OBRIGADO", "Não, obrigado"},
		{own, "cancelar", " CANCELAR "},
		{own, "STOP", ""},
		{`{"opt_out_keywords":[]}`, "STOP", ""},
		{`{"opt_out_keywords":[""]}`, " ", ""},
		{`{"opt_out_keywords":7}`, "STOP", "STOP"},
		{`{"opt_out_keywords":null}`, "STOP", "STOP"},
	} {
		m := messaging.Message{Direction: messaging.Inbound, Content: text(c.body), Peer: messaging.Address{WAID: number(1) + "@s.whatsapp.net"}}
		got, ok := bulk.IsOptOut(&m, &messaging.Instance{Settings: []byte(c.settings)})
		if got != c.want || ok != (c.want != "") {
			t.Errorf("%q with %s: %q, %t, want %q", c.body, c.settings, got, ok, c.want)
		}
	}
}

func TestNobodyOptsOutInAGroupOrByAFile(t *testing.T) {
	for name, m := range map[string]messaging.Message{
		"in a group": {Direction: messaging.Inbound, Content: text("STOP"), Peer: messaging.Address{Input: "120363000@g.us", WAID: "1@s.whatsapp.net"}},
		"by a file":  {Direction: messaging.Inbound, Content: messaging.Content{Kind: messaging.KindImage, Media: &messaging.Media{Caption: "STOP"}}},
		"outbound":   {Direction: messaging.Outbound, Content: text("STOP")},
	} {
		if word, ok := bulk.IsOptOut(&m, &messaging.Instance{}); ok {
			t.Errorf("%s: %q", name, word)
		}
	}
}
