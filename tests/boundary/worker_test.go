package boundary_test

import (
	"testing"

	"clinicgate/tests/boundary/rig"
)

// TestServiceWorkerCannotCoverTheSignIn: a script that got into the backend cannot put
// itself between the browser and the sign-in page, where it would outlive the sign-out.
// What a backend says in Service-Worker-Allowed is in TestBackendPlantsGatewayState.
func TestServiceWorkerCannotCoverTheSignIn(t *testing.T) {
	worker := rig.Field{"Service-Worker", "script"}
	for _, protocol := range protocols {
		for _, target := range []string{"/sw.js", "/", "/sw.js?x=/a/b", "/%73w.js"} {
			request := admin(t, protocol, worker)
			request.Target = target
			rig.Refuses(t, gate, request, 403)
			request = nobody(protocol, target, worker)
			rig.Refuses(t, gate, request, 403)
		}
		request := admin(t, protocol, worker)
		request.Target = "/api/echo" // a folder of its own
		rig.Passes(t, gate, request)
	}
}
