package gateway_test

import (
	"testing"

	"portaria/gateway/gatewaytest"
)

// Every route must refuse every caller that its row does not admit, with the
// code that API.md promises, and admit the others. The expectations follow from
// the table, so a new row is tested by being written.
func TestEveryRouteAdmitsOnlyWhoItsRowSays(t *testing.T) {
	gatewaytest.Matrix(t, open(t))
}
