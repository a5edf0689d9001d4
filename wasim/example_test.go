package wasim_test

import (
	"context"
	"fmt"

	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/proto/waE2E"
	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/types/events"

	"portaria/wasim"
)

// A client that was written for WhatsApp is linked to a simulated phone, sends
// a message that a simulated contact decrypts, and gets its answer.
func Example() {
	// Once in each process, before the first client; in tests, in TestMain.
	whatsmeow.WACertPubKey = wasim.RootKey()

	server, err := wasim.Start(wasim.Options{})
	if err != nil {
		panic(err)
	}
	defer server.Close()

	// newDevice is a device of any whatsmeow store, say of its sqlstore.
	client := whatsmeow.NewClient(newDevice(), nil)
	client.SetWebsocketHTTPClient(server.HTTPClient())
	client.SetPreLoginHTTPClient(server.HTTPClient())
	client.SetMediaHTTPClient(server.HTTPClient())
	codes, connected, answers := make(chan string, 1), make(chan bool, 1), make(chan string, 1)
	client.AddEventHandler(func(event any) {
		switch e := event.(type) {
		case *events.QR:
			codes <- e.Codes[0]
		case *events.Connected:
			connected <- true
		case *events.Message:
			answers <- e.Message.GetConversation()
		}
	})
	if err := client.Connect(); err != nil {
		panic(err)
	}
	defer client.Disconnect()

	ctx := context.Background()
	if err := server.Phone("5511987654321").ScanQR(ctx, <-codes); err != nil {
		panic(err)
	}
	<-connected

	ana := server.Contact("5511912345678").AnswerWith(func(m wasim.Received) string {
		return "You said: " + m.Text()
	})
	text := "Hello"
	_, err = client.SendMessage(ctx, types.NewJID(ana.Number(), types.DefaultUserServer), &waE2E.Message{Conversation: &text})
	if err != nil {
		panic(err)
	}
	fmt.Println(<-answers)
	fmt.Println(len(ana.Received()), "message, from", ana.Received()[0].From)
	// Output:
	// You said: Hello
	// 1 message, from 5511987654321
}

// A message that WhatsApp refuses, once: what a program does then can be seen
// without having been restricted.
func ExampleServer_Inject() {
	server, err := wasim.Start(wasim.Options{})
	if err != nil {
		panic(err)
	}
	defer server.Close()
	_, err = server.Inject(wasim.Fault{Name: wasim.FaultAckError, Code: 463, Contact: "5511912345678"})
	if err != nil {
		panic(err)
	}
	for _, f := range server.Faults() {
		fmt.Println(f.Name, f.Code, "strikes", f.Count, "time(s)")
	}
	_, err = server.Inject(wasim.Fault{Name: wasim.FaultAckError})
	fmt.Println(err)
	// Output:
	// ack-error 463 strikes 1 time(s)
	// WASIM_FAULT_INVALID: The fault ack-error needs: code.
}
