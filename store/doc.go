// Package store keeps everything in SQL, on SQLite or PostgreSQL.
//
// There is one SQL text for both engines; dialect.go alone names an engine,
// and a line of SQL that differs is marked "-- only: postgres" or "-- only:
// sqlite". One file holds one table. Times are microseconds in UTC and come
// from Go, as ids do.
//
// Writes on the hot path (accepting a message, recording what became of it,
// the simulated network's carriages) go through the group committer: many
// callers share one transaction, and each is answered after its commit
// (committer.go). Other writes have a transaction of their own.
//
// Interfaces live with their consumers (outbox.Store, auth.Store, …); *Store
// implements them all.
package store
