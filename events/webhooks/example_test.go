package webhooks_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"portaria/events/webhooks"
)

// A receiver reads the whole body, verifies it as it came, and only then
// decodes it.
func ExampleVerify() {
	secret, err := webhooks.ParseSecret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	if err != nil {
		fmt.Println(err)
		return
	}
	body, now := `{"type":"message.received"}`, time.Now()
	request := httptest.NewRequest(http.MethodPost, "/webhooks", strings.NewReader(body))
	request.Header.Set(webhooks.HeaderID, "evt_01kzq2v7rj0000000001m5x2ab")
	request.Header.Set(webhooks.HeaderTimestamp, fmt.Sprint(now.Unix()))
	request.Header.Set(webhooks.HeaderSignature, webhooks.Sign(secret, "evt_01kzq2v7rj0000000001m5x2ab", now, []byte(body)))

	fmt.Println(webhooks.Verify(request.Header, []byte(body), now, secret))
	fmt.Println(webhooks.Verify(request.Header, []byte(body+" "), now, secret))
	// Output:
	// <nil>
	// no webhook-signature was made of this body with this secret
}

// A delivery is signed with its event's id and the time of the try.
func ExampleSign() {
	secret, err := webhooks.ParseSecret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(webhooks.Sign(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", time.Unix(1614265330, 0), []byte(`{"test": 2432232314}`)))
	// Output: v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=
}
