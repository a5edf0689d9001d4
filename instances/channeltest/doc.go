// Package channeltest holds the channels to one contract: it plays the same
// stories on every kind of channel, through the HTTP API of a whole gateway, and
// compares what callers see of them.
//
// A program that was rehearsed with a test key must not meet anything new with a
// live one. So for the same inputs every channel has to bring about
//
//   - the same events of each message and instance, in the same order, with the
//     same error codes and reasons;
//   - event data and objects of the same shape: the same members, with values
//     where the other has values, and null where it has null;
//   - each message at its contact once, in the order of the answers.
//
// What only one network can do (the sandbox's receipts in the wrong order, files
// that a real contact sends) is left to the tests of that channel.
//
// A new channel needs a Network, and Run does the rest.
package channeltest
