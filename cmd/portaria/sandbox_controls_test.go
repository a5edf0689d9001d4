package main

import (
	"encoding/base64"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
)

// The commands are thin: each is one request of the API and one line of it.
func TestSandboxCommandsAskTheAPI(t *testing.T) {
	const instance = `{"id":"ins_1","name":"shop","state":"disconnected","state_reason":"network_unreachable","state_until":null,"phone":"15005550123"}`
	const clock = `{"mode":"frozen","now":"2026-01-31T12:00:00.000Z"}`
	const message = `{"id":"msg_1","type":"text","from":{"input":"+5511912345678","wa_id":"5511912345678@s.whatsapp.net"}}`
	for _, c := range []struct{ name, args, line, body, data, out string }{
		{"scan", "scan|shop", "POST /v1/sandbox/instances/shop/scan", `{}`, instance, "shop (ins_1): disconnected, network_unreachable, phone +15005550123\n"},
		{"scan a code", "scan|shop|--code|ABCD-EFGH", "POST /v1/sandbox/instances/shop/scan", `{"code":"ABCD-EFGH"}`, instance, "shop (ins_1): disconnected, network_unreachable, phone +15005550123\n"},
		{"drop", "drop|a b", "POST /v1/sandbox/instances/a%20b/drop", `{}`, `{"id":"ins_1","name":"a b","state":"disconnected"}`, "a b (ins_1): disconnected\n"},
		{"drop for a time", "drop|shop|--for|1500ms", "POST /v1/sandbox/instances/shop/drop", `{"seconds":1.5}`, `{"id":"ins_1","name":"shop","state":"disconnected","state_until":"2026-01-31T12:00:00.000Z"}`, "shop (ins_1): disconnected, until 2026-01-31T12:00:00.000Z\n"},
		{"reconnect", "reconnect|shop", "POST /v1/sandbox/instances/shop/reconnect", `{}`, instance, "shop (ins_1): disconnected, network_unreachable, phone +15005550123\n"},
		{"logout", "logout|shop", "POST /v1/sandbox/instances/shop/logout", `{}`, instance, "shop (ins_1): disconnected, network_unreachable, phone +15005550123\n"},
		{"ban", "ban|shop|--for|1d", "POST /v1/sandbox/instances/shop/ban", `{"seconds":86400}`, instance, "shop (ins_1): disconnected, network_unreachable, phone +15005550123\n"},
		{"inbound", "inbound|shop|--from|+5511912345678|--text|Olá|--reply-to|msg_0", "POST /v1/sandbox/instances/shop/inbound", `{"from":"+5511912345678","text":"Olá","reply_to":"msg_0"}`, message, "msg_1 received from 5511912345678@s.whatsapp.net\n"},
		{"inbound of any kind", `inbound|shop|--message|{"type":"revoke","message_id":"msg_0"}`, "POST /v1/sandbox/instances/shop/inbound", `{"type":"revoke","message_id":"msg_0"}`, message, "msg_1 received from 5511912345678@s.whatsapp.net\n"},
		{"clock", "clock", "GET /v1/sandbox/clock", ``, clock, "frozen, 2026-01-31T12:00:00.000Z\n"},
		{"set the clock", "clock|frozen", "PUT /v1/sandbox/clock", `{"mode":"frozen"}`, clock, "frozen, 2026-01-31T12:00:00.000Z\n"},
		{"advance", "advance|90s", "POST /v1/sandbox/clock/advance", `{"seconds":90}`, clock, "frozen, 2026-01-31T12:00:00.000Z\n"},
		{"reset", "reset", "POST /v1/sandbox/reset", `{}`, `{"reset":true}`, "The sandbox is empty.\n"},
		{
			"messages", "messages|--limit|2|--instance|a b", "GET /v1/sandbox/messages?instance=a+b&limit=2", ``,
			`[{"wa_message_id":"3EB0","message_id":"msg_1","instance_id":"ins_1","to":{"input":"1","wa_id":"1@s.whatsapp.net"},"type":"text","content":{"body":"Hi\u001b[2J"},"carried_at":"2026-01-31T12:00:00.000Z"}]`,
			"CARRIED                   MESSAGE  INSTANCE  TO                TYPE  TEXT\n2026-01-31T12:00:00.000Z  msg_1    ins_1     1@s.whatsapp.net  text  \"Hi·[2J\"\n",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := serveSandbox(t, func(sandboxRequest) (int, string) { return http.StatusOK, c.data })
			exit, out, complaints := s.run("", strings.Split(c.args, "|")...)
			if exit != exitDone || out != c.out {
				t.Errorf("exit = %d with\n%s%s\nwant\n%s", exit, out, complaints, c.out)
			}
			asked := s.asked[0]
			if asked.line != c.line || (c.body != "" || asked.body != "") && canonical(t, asked.body) != canonical(t, c.body) {
				t.Errorf("asked %+v, want %s with %s", asked, c.line, c.body)
			}
			exit, out, _ = s.run("", append(strings.Split(c.args, "|"), "--json")...)
			if exit != exitDone || canonical(t, out) != canonical(t, c.data) {
				t.Errorf("exit = %d with the document\n%s, want\n%s", exit, out, c.data)
			}
		})
	}
}

func TestSandboxInboundSendsAFile(t *testing.T) {
	for name, c := range map[string]struct{ file, flags, want string }{
		"an image":           {"a.JPG", "--caption|Look", `{"from":"1","type":"image","image":{"base64":"B64"},"caption":"Look"}`},
		"a sticker":          {"a.webp", "--kind|sticker", `{"from":"1","type":"sticker","sticker":{"base64":"B64"}}`},
		"anything else":      {"a.pdf", "", `{"from":"1","type":"document","document":{"base64":"B64","filename":"a.pdf"}}`},
		"without an ending":  {"a", "", `{"from":"1","type":"document","document":{"base64":"B64","filename":"a"}}`},
		"a body from a file": {"a.json", "@", `{"from":"1","b":1}`},
	} {
		t.Run(name, func(t *testing.T) {
			s := serveSandbox(t, func(sandboxRequest) (int, string) { return http.StatusCreated, `{"id":"msg_1"}` })
			const text = `{"b":1}`
			path := scriptFile(t, c.file, text)
			args := []string{"inbound", "shop", "--from", "1", "--file", path}
			switch {
			case c.flags == "@":
				args[4], args[5] = "--message", "@"+path
			case c.flags != "":
				args = append(args, strings.Split(c.flags, "|")...)
			}
			if exit, out, complaints := s.run("", args...); exit != exitDone || out != "msg_1 received\n" {
				t.Fatalf("exit = %d with %q and\n%s", exit, out, complaints)
			}
			want := strings.ReplaceAll(c.want, "B64", base64.StdEncoding.EncodeToString([]byte(text)))
			if got := canonical(t, s.asked[0].body); got != canonical(t, want) {
				t.Errorf("%s is sent as\n%s, want\n%s", filepath.Base(path), got, want)
			}
		})
	}
}

func TestSandboxCommandsEndWithOneWhenTheyAreRefused(t *testing.T) {
	s := serveSandbox(t, func(sandboxRequest) (int, string) {
		return http.StatusConflict, `{"code":"INSTANCE_NOT_PAIRING","message":"The instance is not being paired.","details":{}}`
	})
	exit, out, complaints := s.run("", "scan", "shop")
	if exit != exitFailed || out != "" || complaints != "portaria: The instance is not being paired. (INSTANCE_NOT_PAIRING)\n" {
		t.Errorf("exit = %d with %q and\n%s", exit, out, complaints)
	}
}
