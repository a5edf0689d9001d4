package store

// selectCarried finds what the simulated network carried: messages of the test
// world have no index by WhatsApp id of their own, but carriages have.
const selectCarried = `SELECT ` + messageColumns + `, m.position, m.events FROM sandbox_carriages c
		JOIN messages m ON m.workspace_id = c.workspace_id AND m.environment = 'test' AND m.id = c.message_id
	WHERE c.instance_id = $1 AND c.wa_message_id = $2 AND m.direction = 'outbound'
		FOR UPDATE OF m -- only: postgres
		`
