package gateway_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"portaria/gateway/gatewaytest"
	"portaria/messaging"
)

// ana is a contact.
const ana = `"from":"+55 11 91234-5678"`

// inboundMessage is what tests look at of a message.
type inboundMessage struct {
	ID, Direction, Type, Status string
	WAMessageID                 string `json:"wa_message_id"`
	From                        struct {
		Input string
		WAID  string `json:"wa_id"`
	}
	Content   map[string]any
	EditedAt  string `json:"edited_at"`
	RevokedAt string `json:"revoked_at"`
}

// inbound has a contact do something to an instance.
func (h *house) inbound(t *testing.T, token, instance, body string) inboundMessage {
	t.Helper()
	return data[inboundMessage](t, h.Expect(t, post("/v1/sandbox/instances/"+instance+"/inbound", token, body), http.StatusCreated, ""))
}

// Every kind of message that can be sent can come in, and is shown as it would be
// of a live contact.
func TestAContactWritesEveryKindOfMessage(t *testing.T) {
	h := open(t)
	h.instance(t, "shop")
	token := h.key(t, "sandbox:run")
	for kind, content := range map[string]string{
		"text": `"text":"Oi"`, "image": `"image":{"base64":"` + b64(pngFile) + `"},"caption":"foto"`,
		"document": `"document":{"base64":"` + b64(pngFile) + `"}`, "location": `"location":{"latitude":1,"longitude":2}`,
		"contacts": `"contacts":[{"name":{"first_name":"Ana"}}]`, "poll": `"poll":{"question":"?","options":["a","b"]}`,
	} {
		for _, typed := range []string{``, `"type":"` + kind + `",`} {
			got := h.inbound(t, token, "shop", `{`+typed+ana+`,`+content+`}`)
			if got.Type != kind || got.Direction != "inbound" || got.Status != "received" || got.WAMessageID == "" {
				t.Errorf("%s: %+v", kind, got)
			}
			if got.From.Input != "+5511912345678" || got.From.WAID != "5511912345678@s.whatsapp.net" {
				t.Errorf("%s is from %+v", kind, got.From)
			}
		}
	}
}

// Who writes in a group is a person; where an answer goes to is the group.
func TestAContactWritesInAGroup(t *testing.T) {
	h := open(t)
	h.instance(t, "shop")
	token := h.key(t, "sandbox:run")
	got := h.inbound(t, token, "shop", `{`+ana+`,"group":"120363012345678901@g.us","text":"Oi"}`)
	if got.From.Input != "120363012345678901@g.us" || got.From.WAID != "5511912345678@s.whatsapp.net" {
		t.Errorf("from %+v", got.From)
	}
	if got := h.inbound(t, token, "shop", `{"from":"1234567890123@lid","text":"Oi"}`); got.From.Input != "1234567890123@lid" {
		t.Errorf("from %+v", got.From)
	}
	// The answer quotes what was written in the group, and from nowhere else.
	h.inbound(t, token, "shop", `{`+ana+`,"group":"120363012345678901@g.us","text":"Sim","reply_to":"`+got.ID+`"}`)
	answer := h.Expect(t, post("/v1/sandbox/instances/shop/inbound", token, `{`+ana+`,"text":"Sim","reply_to":"`+got.ID+`"}`), http.StatusUnprocessableEntity, "VALIDATION_FAILED")
	if rules := fieldRules(t, answer); rules != "reply_to:not_found" {
		t.Errorf("an answer from another chat: %s", rules)
	}
}

// Contacts react to what was sent to them, and to what they wrote themselves.
func TestAContactReacts(t *testing.T) {
	h := open(t)
	h.instance(t, "shop")
	token := h.key(t, "sandbox:run", "whatsapp:send")
	sent := data[inboundMessage](t, h.Expect(t, post("/v1/instances/shop/messages", token, `{"to":"+5511912345678","text":"Olá"}`), http.StatusAccepted, ""))
	for _, id := range []string{sent.ID, sent.WAMessageID} {
		got := h.inbound(t, token, "shop", `{`+ana+`,"reaction":{"message_id":"`+id+`","emoji":"👍"}}`)
		want := map[string]any{
			"emoji":   "👍",
			"message": map[string]any{"message_id": sent.ID, "wa_message_id": sent.WAMessageID, "author": nil, "from_me": true},
		}
		if diff := cmp.Diff(want, got.Content); diff != "" {
			t.Error(diff)
		}
	}
	other := `{"from":"+5511999990000","reaction":{"message_id":"` + sent.ID + `","emoji":"👍"}}`
	answer := h.Expect(t, post("/v1/sandbox/instances/shop/inbound", token, other), http.StatusUnprocessableEntity, "VALIDATION_FAILED")
	if rules := fieldRules(t, answer); rules != "reaction.message_id:not_found" {
		t.Errorf("a stranger's reaction: %s", rules)
	}
}

// A contact's file comes in every way in which one can be sent, and is opened by
// who may read messages, and by nobody for having brought it.
func TestAnInboundFileIsTheInstances(t *testing.T) {
	served := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(pngFile)) }))
	defer served.Close()
	h := open(t)
	i := h.instance(t, "shop")
	token := h.key(t, "sandbox:run", "whatsapp:send")
	reader := h.locked(t, []string{"messages:read"}, i.ID)
	uploaded := data[struct{ ID string }](t, h.Expect(t, post("/v1/media", token, `{"base64":"`+b64(pngFile)+`"}`), http.StatusCreated, ""))
	path := "/v1/sandbox/instances/shop/inbound"
	body, header := form(t, part{"file", "a.png", "image/png", pngFile}, part{"message", "", "", `{"type":"image",` + ana + `}`})
	for name, r := range map[string]gatewaytest.Request{
		"base64":   post(path, token, `{`+ana+`,"image":{"base64":"`+b64(pngFile)+`"}}`),
		"url":      post(path, token, `{`+ana+`,"image":{"url":"`+served.URL+`/a.png"}}`),
		"media_id": post(path, token, `{`+ana+`,"image":{"media_id":"`+uploaded.ID+`","filename":"a.png"}}`),
		"form":     {Method: http.MethodPost, Path: path, Token: token, Body: body, Header: header},
	} {
		got := data[inboundMessage](t, h.Expect(t, r, http.StatusCreated, ""))
		id, _ := got.Content["media_id"].(string)
		if id == "" || id == uploaded.ID {
			t.Errorf("%s: the file is %q", name, id)
		}
		h.Expect(t, get("/v1/media/"+id, reader), http.StatusOK, "")
		h.Expect(t, get("/v1/media/"+id, token), http.StatusNotFound, "NOT_FOUND")
		again := h.inbound(t, token, "shop", `{`+ana+`,"image":{"base64":"`+b64(pngFile)+`"}}`)
		if again.Content["media_id"] == id {
			t.Errorf("%s: two messages have one row", name)
		}
	}
}

// A file whose message the network did not take is not kept.
func TestARefusedInboundFileIsDropped(t *testing.T) {
	h := open(t)
	h.unpaired(t, "new")
	body := `{` + ana + `,"image":{"base64":"` + b64(pngFile) + `"}}`
	h.Expect(t, post("/v1/sandbox/instances/new/inbound", h.key(t, "sandbox:run"), body), http.StatusConflict, "INSTANCE_NOT_CONNECTED")
	if n := h.files(t); n != 0 {
		t.Errorf("%d files are kept", n)
	}
}

// Contacts change and delete what they wrote, as on their phones.
func TestAContactAmendsItsMessage(t *testing.T) {
	h := open(t)
	h.instance(t, "shop")
	token := h.key(t, "sandbox:run")
	amend := func(body string) inboundMessage {
		t.Helper()
		return data[inboundMessage](t, h.Expect(t, post("/v1/sandbox/instances/shop/inbound", token, body), http.StatusOK, ""))
	}
	text := h.inbound(t, token, "shop", `{`+ana+`,"text":"Oi"}`)
	if got := amend(`{"type":"edit","message_id":"` + text.ID + `","text":{"body":"Olá"}}`); got.Content["body"] != "Olá" || got.EditedAt == "" {
		t.Errorf("edited: %+v", got)
	}
	image := h.inbound(t, token, "shop", `{`+ana+`,"image":{"base64":"`+b64(pngFile)+`"},"caption":"a"}`)
	if got := amend(`{"type":"edit",` + ana + `,"message_id":"` + image.WAMessageID + `","caption":"b"}`); got.Content["caption"] != "b" || got.Content["media_id"] != image.Content["media_id"] {
		t.Errorf("edited: %+v", got)
	}
	if got := amend(`{"type":"edit","message_id":"` + image.ID + `","caption":""}`); got.Content["caption"] != nil {
		t.Errorf("without caption: %+v", got)
	}
	if got := amend(`{"type":"revoke","message_id":"` + text.ID + `"}`); got.RevokedAt == "" {
		t.Errorf("revoked: %+v", got)
	}
}

// A call is answered as events show it.
func TestAContactCalls(t *testing.T) {
	h := open(t)
	h.instance(t, "shop")
	shy := h.instance(t, "shy")
	h.change(shy.ID, func(i *messaging.Instance) { i.Settings = []byte(`{"reject_calls":true,"later":1}`) })
	token := h.key(t, "sandbox:run")
	rejected := h.Expect(t, post("/v1/sandbox/instances/shy/inbound", token, `{"type":"call",`+ana+`}`), http.StatusCreated, "")
	if !data[struct{ Rejected bool }](t, rejected).Rejected {
		t.Errorf("%s", rejected.Body)
	}
	for body, want := range map[string]map[string]any{
		`{"type":"call",` + ana + `}`:                           {"video": false, "group": false},
		`{"type":"call",` + ana + `,"video":true,"group":true}`: {"video": true, "group": true},
	} {
		got := data[map[string]any](t, h.Expect(t, post("/v1/sandbox/instances/shop/inbound", token, body), http.StatusCreated, ""))
		delete(got, "at")
		maps.Copy(want, map[string]any{
			"id": "CA11", "rejected": false, "from": map[string]any{"input": "+5511912345678", "wa_id": "5511912345678@s.whatsapp.net"},
		})
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
}

// Whatever a contact cannot do is refused with the field that is wrong, and
// nothing is recorded.
func TestStrangeInboundIsRefused(t *testing.T) {
	h := open(t)
	h.instance(t, "shop")
	h.instance(t, "other")
	token := h.key(t, "sandbox:run", "whatsapp:send")
	text := h.inbound(t, token, "shop", `{`+ana+`,"text":"Oi"}`)
	place := h.inbound(t, token, "shop", `{`+ana+`,"location":{"latitude":1,"longitude":2}}`)
	foreign := h.inbound(t, token, "other", `{`+ana+`,"text":"Oi"}`)
	sent := data[inboundMessage](t, h.Expect(t, post("/v1/instances/shop/messages", token, `{"to":"+5511912345678","text":"Olá"}`), http.StatusAccepted, ""))
	before := h.accepted()
	for body, want := range map[string]string{
		`{}`:                           "from:required text:required",
		`{"text":"a"}`:                 "from:required",
		`{` + ana + `}`:                "text:required",
		`{"from":5,"text":""}`:         "from:type text:required",
		`{"from":"nobody","text":"a"}`: "from:format",
		`{"from":"120363012345678901@g.us","text":"a"}`:                                                  "from:format",
		`{"from":"1@newsletter","text":"a"}`:                                                             "from:format",
		`{` + ana + `,"text":"a","group":"5511912345678"}`:                                               "group:format",
		`{` + ana + `,"text":"a","group":true}`:                                                          "group:type",
		`{` + ana + `,"text":"a","group":5}`:                                                             "group:type",
		`{` + ana + `,"text":"a","image":{"url":"http://x"}}`:                                            "image:requires",
		`{` + ana + `,"text":"a","video":true}`:                                                          "video:type",
		`{` + ana + `,"video":{"url":5}}`:                                                                "video.url:type video:required",
		`{` + ana + `,"video":{}}`:                                                                       "video:required",
		`{` + ana + `,"video":7}`:                                                                        "video:type",
		`{` + ana + `,"text":"a","message_id":"x"}`:                                                      "message_id:requires",
		`{` + ana + `,"text":"a","caption":"b"}`:                                                         "caption:requires",
		`{` + ana + `,"text":"a","to":"x"}`:                                                              "to:unknown",
		`{` + ana + `,"text":"a","reply_to":"` + foreign.ID + `"}`:                                       "reply_to:not_found",
		`{` + ana + `,"reaction":{"emoji":"👍"}}`:                                                         "reaction.message_id:required",
		`{"type":"edit"}`:                                                                                "message_id:required text:required",
		`{"type":"edit","message_id":"msg_x","text":"a"}`:                                                "message_id:format",
		`{"type":"edit","message_id":"3EB0FF","text":"a"}`:                                               "message_id:not_found",
		`{"type":"edit","message_id":"` + foreign.ID + `","text":"a"}`:                                   "message_id:not_found",
		`{"type":"edit","message_id":"` + sent.ID + `","text":"a"}`:                                      "message_id:requires",
		`{"type":"edit","message_id":"` + text.ID + `","caption":"a"}`:                                   "caption:requires",
		`{"type":"edit","message_id":"` + text.ID + `","text":"a","caption":"b"}`:                        "caption:requires",
		`{"type":"edit","message_id":"` + text.ID + `","text":" "}`:                                      "text:required",
		`{"type":"edit","message_id":"` + place.ID + `","text":"a"}`:                                     "text:requires",
		`{"type":"edit","message_id":"` + text.ID + `","text":"a","poll":{"question":"?","options":[]}}`: "poll:requires",
		`{"type":"edit","message_id":"` + text.ID + `","text":"a","from":"+5511999990000"}`:              "from:requires",
		`{"type":"revoke"}`:                                                                              "message_id:required",
		`{"type":"revoke","message_id":"` + text.ID + `","text":"a"}`:                                    "text:requires",
		`{"type":"revoke","message_id":"` + text.ID + `","video":true}`:                                  "video:requires",
		`{"type":"revoke","message_id":"` + text.ID + `","from":"+5511999990000"}`:                       "from:requires",
		`{"type":"call"}`:                                               "from:required",
		`{"type":"call",` + ana + `,"text":"a"}`:                        "text:requires",
		`{"type":"call",` + ana + `,"video":{"url":"http://x"}}`:        "video:type",
		`{"type":"call",` + ana + `,"group":"120363012345678901@g.us"}`: "group:type",
		`{"type":"call",` + ana + `,"message_id":"x","reply_to":"y"}`:   "message_id:requires reply_to:requires",
		`{"type":"call",` + ana + `,"view_once":true,"mentions":["x"]}`: "mentions:requires view_once:requires",
	} {
		answer := h.Do(t, post("/v1/sandbox/instances/shop/inbound", token, body))
		if answer.Code() != "VALIDATION_FAILED" || fieldRules(t, answer) != want {
			t.Errorf("%s: %s %q, want %q", body, answer.Code(), fieldRules(t, answer), want)
		}
	}
	for _, body := range []string{`{` + ana + `,"buttons":[]}`, `{` + ana + `,"type":"list"}`} {
		h.Expect(t, post("/v1/sandbox/instances/shop/inbound", token, body), http.StatusUnprocessableEntity, "UNSUPPORTED_MESSAGE_TYPE")
	}
	if n := h.accepted(); n != before {
		t.Errorf("%d messages were recorded", n-before)
	}
}

// A file has no place in what is no message.
func TestAFormIsForMessages(t *testing.T) {
	h := open(t)
	h.instance(t, "shop")
	for _, kind := range []string{"edit", "revoke", "call"} {
		body, header := form(t, part{"message", "", "", `{"type":"` + kind + `",` + ana + `}`}, part{"file", "a.png", "image/png", pngFile})
		answer := h.Do(t, gatewaytest.Request{
			Method: http.MethodPost, Path: "/v1/sandbox/instances/shop/inbound", Token: h.key(t, "sandbox:run"), Body: body, Header: header,
		})
		if rules := fieldRules(t, answer); !strings.HasPrefix(rules, "file:requires") {
			t.Errorf("%s: %s", kind, rules)
		}
	}
}

// A repeated request is the same message.
func TestARepeatedInboundComesOnce(t *testing.T) {
	h := open(t)
	h.instance(t, "shop")
	token := h.key(t, "sandbox:run")
	path := "/v1/sandbox/instances/shop/inbound"
	first := h.Expect(t, keyed(path, token, "k", `{`+ana+`,"text":"Oi"}`), http.StatusCreated, "")
	again := h.Expect(t, keyed(path, token, "k", `{`+ana+`,"text":"Oi"}`), http.StatusCreated, "")
	if string(first.Body) != string(again.Body) || h.accepted() != 1 {
		t.Errorf("%d messages\n%s\n%s", h.accepted(), first.Body, again.Body)
	}
	var shown json.RawMessage
	if err := json.Unmarshal(first.Body, &shown); err != nil {
		t.Error(err)
	}
	if h.messages[0].Direction != messaging.Inbound {
		t.Errorf("%+v", h.messages[0])
	}
}
