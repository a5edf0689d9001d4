//go:build !race

package whatsapp_test

const fewKeys = false
