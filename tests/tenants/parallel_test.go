package tenants_test

import (
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"testing"

	"clinicgate/tests/harness"
	"clinicgate/tests/probe"
)

// T4: two hundred sign-ins across practices, fifty at any moment, the same names
// at each. Everybody arrives as themselves, at their own practice.
func TestParallelSignInsMixNothing(t *testing.T) {
	const practices, people, rounds = 5, 10, 4
	type place struct {
		p   harness.Practice
		who harness.Account
	}
	var places []place
	for i := range practices {
		id := fmt.Sprintf("parallel-%d", i)
		p := probe.Open(t, gate, id, id+".localhost")
		for j := range people {
			places = append(places, place{p, probe.Add(t, gate, id, fmt.Sprintf("same-%d@agency.test", j), "clinician", false)})
		}
	}
	atOnce := make(chan struct{}, 50) // fewer than wait for a hash, or some are told to come back
	var wait sync.WaitGroup
	for round := range rounds {
		for i, at := range places {
			wait.Go(func() {
				atOnce <- struct{}{}
				defer func() { <-atOnce }()
				client := probe.Client(t, gate, fmt.Sprintf("127.0.7.%d", 1+(round*len(places)+i)%20))
				arrive(t, client, at.p, at.who)
			})
		}
	}
	wait.Wait()
}

// arrive signs in and checks who the gateway and the backend take the browser for.
func arrive(t *testing.T, client *http.Client, p harness.Practice, who harness.Account) {
	res, err := client.Do(probe.Form(p, "/.gate/login", url.Values{"email": {who.Email}, "password": {who.Password}}))
	if err != nil {
		t.Errorf("%s at %s: %v", who.Email, p.ID, err)
		return
	}
	res.Body.Close()
	session, _ := probe.Cookie(harness.Answer{Response: res}, probe.Session)
	if session == "" {
		t.Errorf("%s at %s: %s without a session", who.Email, p.ID, res.Status)
		return
	}
	req := probe.Page(p, "/api/echo", probe.Session+"="+session)
	echo := probe.Send(t, client, req)
	headers, _ := echo.JSON(t)["headers"].(map[string]any)
	for name, want := range map[string]string{"X-Practice-Id": p.ID, "X-User-Email": who.Email} {
		if got := fmt.Sprint(headers[name]); got != "["+want+"]" {
			t.Errorf("%s at %s: %s = %s", who.Email, p.ID, name, got)
		}
	}
}
