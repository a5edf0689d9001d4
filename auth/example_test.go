package auth_test

import (
	"fmt"

	"portaria/auth"
	"portaria/messaging"
)

// A token is minted once, shown once with Reveal, and prints without its secret
// ever after.
func ExampleMint() {
	token := auth.Mint(messaging.Test)
	fmt.Println(len(token.Reveal()), token.Environment())
	fmt.Println(len([]rune(fmt.Sprint(token))), "characters are shown")
	// Output:
	// 58 test
	// 25 characters are shown
}

// Parse finds typing errors without a look-up, by the checksum.
func ExampleParse() {
	token, err := auth.Parse("sk_live_000000000000000000000000000000000000000000014Sv28R")
	fmt.Println(token, token.KeyID(), err)
	_, err = auth.Parse("sk_live_000000000000000000000000000000000000000000024Sv28R")
	fmt.Println(err)
	// Output:
	// sk_live_000000000000…v28R key_000000000000 <nil>
	// UNAUTHORIZED: This is not a Portaria token: its form or its checksum is wrong.
}

func ExampleParseScopes() {
	scopes, err := auth.ParseScopes([]string{"whatsapp:manage", "webhooks:*"}, messaging.Live)
	fmt.Println(scopes.Strings(), err)
	fmt.Println(scopes.Has(auth.WhatsAppRead), scopes.Has(auth.WebhooksManage), scopes.Has(auth.WhatsAppSend))
	// Output:
	// [whatsapp:manage webhooks:*] <nil>
	// true true false
}
