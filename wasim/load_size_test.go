//go:build !race

package wasim_test

// loadClients is how many clients link, log in and send at the same moment.
const loadClients = 100
