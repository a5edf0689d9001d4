// Package runs plays scripts against the sandbox: a developer's integration
// test in one call.
//
// What it promises:
//
//   - A run has a clock of its own, which stands still but for what its steps
//     ask: what happens in it, and when by that clock, is the same every time.
//   - Unless it is given an instance, it has one of its own, which is deleted
//     when it ends. Runs side by side do not meet; two never share an instance.
//   - It waits for nothing outside its instance: other runs, bulks and slow
//     webhooks do not hold it up.
//   - A process that dies leaves no run open: the next one ends it as aborted.
package runs
