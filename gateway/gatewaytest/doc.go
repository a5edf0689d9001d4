// Package gatewaytest helps to test the HTTP door: a Validator that holds
// answers against the OpenAPI document, and the matrix of every route × every
// kind of principal, which runs on any server that a Fixture describes.
package gatewaytest
