// A receiver of webhooks: PORTARIA_WEBHOOK_SECRET=whsec_… go run .
package main

import (
	"encoding/json"
	"io"
	"log"
	"net/http"
	"os"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

func main() {
	secret := os.Getenv("PORTARIA_WEBHOOK_SECRET")
	webhook, err := standardwebhooks.NewWebhook(secret)
	if err != nil || secret == "" {
		log.Fatal("PORTARIA_WEBHOOK_SECRET: set it to the webhook's secret, whsec_…")
	}
	http.HandleFunc("POST /", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20)) // the bytes as they came: they are what is signed
		if err != nil {
			http.Error(w, "the body is too large, or broke off", http.StatusBadRequest)
			return
		}
		if err := webhook.Verify(body, r.Header); err != nil { // also refuses what is older than five minutes
			http.Error(w, err.Error(), http.StatusUnauthorized)
			return
		}
		var event struct{ ID, Type string }
		if err := json.Unmarshal(body, &event); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		log.Println(event.ID, event.Type) // keep the id with what you do: an event may come twice
		w.WriteHeader(http.StatusNoContent)
	})
	port := os.Getenv("PORT")
	if port == "" {
		port = "9000"
	}
	log.Fatal(http.ListenAndServe("127.0.0.1:"+port, nil))
}
