// Package gateway is the HTTP door of Portaria, on Fiber.
//
// A route under /v1 is a row of the table in routes.go: method, path, scopes,
// where its instance comes from, its environments and its types. Everything
// that guards a request is made from that row (door.go), so a route cannot be
// mounted without one, and the OpenAPI document and the test matrix are
// generated from the same rows. A handler is a plain function of a Call and a
// decoded request; it knows no Fiber.
//
// What the door promises:
//
//   - the order of API.md section 4: authenticate, limit, lock, scope,
//     environment, validate;
//   - nothing of a body is taken before the key is known, and nothing is ever
//     unpacked (body.go);
//   - every answer, the refusals of the HTTP engine included, wears the same
//     envelope (envelope.go), and HTTP statuses appear in faults.go alone;
//   - an answer that is kept for an Idempotency-Key is the answer of exactly
//     one act (idempotency.go).
//
// It leaves to others: what keys may do (auth), what a message is worth
// (outbox), and what is stored (store, behind the interfaces of services.go).
package gateway
