//go:build race

package whatsapp_test

// fewKeys has phones link with fewer keys: making them is most of the work, and
// many times slower under the race detector.
const fewKeys = true
