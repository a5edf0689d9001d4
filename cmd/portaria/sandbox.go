package main

// sandboxCmd plays the part of the phone, the contacts and the network of test
// instances. All of it goes through the HTTP API, with a test key.
type sandboxCmd struct {
	Run       sandboxRunCmd       `cmd:"" help:"Play scripts, and say whether all went as they expect."`
	Scan      sandboxScanCmd      `cmd:"" help:"Scan the code that an instance shows, as a phone does."`
	Drop      sandboxDropCmd      `cmd:"" help:"Cut an instance's connection."`
	Reconnect sandboxReconnectCmd `cmd:"" help:"Bring an instance's connection back."`
	Logout    sandboxLogoutCmd    `cmd:"" help:"Remove an instance from its phone's linked devices."`
	Ban       sandboxBanCmd       `cmd:"" help:"Have the network ban an instance's number."`
	Inbound   sandboxInboundCmd   `cmd:"" help:"Write to an instance as a contact does."`
	Clock     sandboxClockCmd     `cmd:"" help:"Show or set how the sandbox clock runs."`
	Advance   sandboxAdvanceCmd   `cmd:"" help:"Move the sandbox clock."`
	Messages  sandboxMessagesCmd  `cmd:"" help:"List what the simulated network carried, newest first."`
	Reset     sandboxResetCmd     `cmd:"" help:"Forget what happened in the workspace's sandbox; what was set up stays."`
}
