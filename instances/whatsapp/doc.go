// Package whatsapp is the live channel: it carries the messages of live
// instances to WhatsApp, on whatsmeow, and records what WhatsApp says.
//
// It is the only room, beside the simulator, that knows whatsmeow. What it
// promises:
//
//   - A message goes out under the WhatsApp id that was stored with it, on
//     every attempt, so that the network recognises a repeat.
//   - No frame leaves before the Signal session that encrypted it, and the copy
//     that answers a contact's request to send again, are on the disk; and none
//     leaves without a copy that its recipient can read (keeper).
//   - What a contact sent is acknowledged to WhatsApp only after it was
//     recorded (handle).
//   - A connection that ends is made anew with a growing, random delay, unless
//     only the owner can mend it (life, faults).
//   - A lost acknowledgement holds the instance for a few seconds, never for
//     whatsmeow's 75.
//
// Who is told of states and messages, where files lie and who looks codes up is
// asked for in small interfaces (Options); nothing here touches HTTP or our own
// tables.
package whatsapp
