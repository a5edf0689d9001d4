//go:build race

package wasim_test

// loadClients is smaller under the race detector: making the clients' keys is
// most of the work, and many times slower there.
const loadClients = 20
