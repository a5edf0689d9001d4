package main

import (
	"strings"
	"testing"
	"unicode"

	"github.com/go-json-experiment/json/jsontext"
	"pgregory.net/rapid"
)

func TestEventsAreShownInOneLine(t *testing.T) {
	const head = `"id":"evt_1","api_version":"v1","environment":"test","workspace_id":"wsp_1","sequence":1,"timestamp":"2026-01-31T12:00:00.000Z"`
	for _, c := range []struct{ name, event, want string }{
		{
			"outbound", `{` + head + `,"type":"message.sent","instance_id":"ins_1","data":{"message":{"direction":"outbound","from":null,
			"to":{"input":"+1","wa_id":"1"},"type":"text","status":"sent","content":{"body":"Olá, João"},"error":null}}}`,
			`2026-01-31T12:00:00.000Z  evt_1  message.sent        ins_1  outbound  to 1  sent  "Olá, João"`,
		},
		{
			"a failure", `{` + head + `,"type":"message.failed","instance_id":"ins_1","data":{"message":{"direction":"outbound",
			"to":{"wa_id":"1"},"type":"text","status":"failed","content":{"body":"x"},"error":{"code":"NOT_ON_WHATSAPP","message":"No."}}}}`,
			`2026-01-31T12:00:00.000Z  evt_1  message.failed      ins_1  outbound  to 1  failed  NOT_ON_WHATSAPP  "x"`,
		},
		{
			"a file", `{` + head + `,"type":"message.received","instance_id":"ins_1","data":{"message":{"direction":"inbound","to":null,
			"from":{"wa_id":"2"},"type":"image","status":"received","content":{"caption":null,"filename":"a.png"}}}}`,
			`2026-01-31T12:00:00.000Z  evt_1  message.received    ins_1  inbound  from 2  received  image  "a.png"`,
		},
		{
			"a long text", `{` + head + `,"type":"message.received","instance_id":"ins_1","data":{"message":{"direction":"inbound",
			"from":{"wa_id":"2"},"type":"text","status":"received","content":{"body":"` + strings.Repeat("ã", 61) + `"}}}}`,
			`2026-01-31T12:00:00.000Z  evt_1  message.received    ins_1  inbound  from 2  received  "` + strings.Repeat("ã", 59) + `…"`,
		},
		{
			"an instance", `{` + head + `,"type":"instance.disconnected","instance_id":"ins_1","data":{"instance":{"name":"shop",
			"state":"disconnected","state_reason":"replaced"}}}`,
			`2026-01-31T12:00:00.000Z  evt_1  instance.disconnected  ins_1  shop  disconnected  replaced`,
		},
		{
			"a call", `{` + head + `,"type":"call.received","instance_id":"ins_1","data":{"call":{"from":{"wa_id":"2"},"video":false}}}`,
			`2026-01-31T12:00:00.000Z  evt_1  call.received       ins_1  from 2`,
		},
		{
			"a webhook", `{` + head + `,"type":"webhook.disabled","instance_id":null,"data":{"webhook":{"id":"whk_1","url":"https://a.example/",
			"disabled_reason":"gone"}}}`,
			`2026-01-31T12:00:00.000Z  evt_1  webhook.disabled    -  whk_1  https://a.example/  gone`,
		},
		{"of a later version", `{` + head + `,"type":"moon.rose","instance_id":null,"data":{"moon":{}}}`, `2026-01-31T12:00:00.000Z  evt_1  moon.rose           -`},
		{"no event", `[1]`, `"[1]"`},
		{
			"what moves the cursor", `{` + head + `,"type":"message.received","instance_id":"ins_1","data":{"message":{"direction":"inbound",
			"from":{"wa_id":"2"},"type":"text","status":"received","content":{"body":"a\u001b[2Jb\r\nc\u202ed"}}}}`,
			`2026-01-31T12:00:00.000Z  evt_1  message.received    ins_1  inbound  from 2  received  "a·[2Jb··c·d"`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := readEvent(jsontext.Value(c.event)).String(); got != c.want {
				t.Errorf("shown as\n%s\nwant\n%s", got, c.want)
			}
		})
	}
}

// Strangers write what is shown: whatever it is, it stays in its line and in
// its colours.
func TestNothingInAnEventMovesTheCursor(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.String(), rapid.StringOf(rapid.RuneFrom([]rune("\x00\x07\x1b[]m\r\n\u0085\u200e\u202e\u2028\ufffd a")))).Draw(t, "text")
		body, err := jsontext.AppendQuote(nil, text)
		if err != nil {
			t.Fatal(err)
		}
		e := `{"id":` + string(body) + `,"type":"x.` + `y","timestamp":` + string(body) + `,"data":{"message":{"status":` + string(body) + `,"type":"text","content":{"body":` + string(body) + `}}}}`
		for _, shown := range []string{readEvent(jsontext.Value(e)).String(), readEvent(jsontext.Value(text)).String()} {
			if strings.ContainsFunc(shown, func(r rune) bool { return !unicode.IsGraphic(r) }) {
				t.Fatalf("shown as %q", shown)
			}
		}
	})
}

// A program that reads --json gets one document a line, however it was written
// on the way.
func TestAnEventForProgramsIsOneLineOfJSON(t *testing.T) {
	for event, want := range map[string]string{
		"{\"id\": \"evt_1\",\n \"data\": {}}": `{"id":"evt_1","data":{}}`,
		`{"a":"x\u2028y"}`:                    `{"a":"x\u2028y"}`,
		"no\nJSON":                            `"no\nJSON"`,
	} {
		if got := readEvent(jsontext.Value(event)).line(); got != want {
			t.Errorf("line of %q = %s; want %s", event, got, want)
		}
	}
}
