package command_test

import (
	"context"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"clinicgate/gateway/database"
	"clinicgate/gateway/database/databasetest"
	"github.com/jackc/pgx/v5"
)

// cluster is a cluster document for new databases on the server that is tested on. ok is
// false without one: what is tested is the way to PostgreSQL.
func cluster(t *testing.T) (file string, p *database.Postgres, ok bool) {
	t.Helper()
	p = databasetest.Options(t, database.Options{Dir: t.TempDir()}).Postgres
	if p == nil {
		return "", nil, false
	}
	var password string
	address := func(s string) string {
		u, err := url.Parse(strings.Replace(s, "{practice}", "PRACTICE", 1))
		if err != nil {
			t.Fatal(err)
		}
		password, _ = u.User.Password()
		u.User = url.User(u.User.Username())
		return strings.Replace(u.String(), "PRACTICE", "{practice}", 1)
	}
	text := "postgres:\n  registry: " + address(p.Registry) + "\n  practices: \"" + address(p.Practices) + "\"\n" +
		"  password: {file: " + write(t, "password", password+"\n") + "}\n"
	return write(t, "cluster.yaml", text), p, true
}

// onCluster is the config of a gateway that serves from a cluster.
func onCluster(t *testing.T, state, cluster string) string {
	t.Helper()
	return write(t, "gateway.json", `{"apps":{"clinicgate":{"state":"`+state+`","cluster":"`+cluster+`"}}}`)
}

func TestStateMovesToPostgresAndBack(t *testing.T) {
	file, _, ok := cluster(t)
	if !ok {
		return
	}
	state := newState(t)
	move := []string{"migrate", "--state", state, "--to", file}
	if got := doJSON(t, move...); got["practices"] != 2.0 || got["copied"] != 3.0 || got["finished"] != false {
		t.Errorf("first: %v", got)
	}
	o := run(t, "", "practice", "list", "--config", onCluster(t, state, file))
	if o.code != 1 || !strings.Contains(o.err, "a copy that is not complete") {
		t.Errorf("half a move is used: exit %d\n%s", o.code, o)
	}
	do(t, "", "practice", "suspend", "harbour", "--state", state) // the gateway goes on
	if got := doJSON(t, move...); got["copied"] != 2.0 {
		t.Errorf("again, after a change of harbour: %v, want harbour and the registry copied", got)
	}
	got := doJSON(t, append(move, "--finish")...)
	if got["finished"] != true || got["practices"] != 2.0 || len(got["logs"].([]any)) != 2 {
		t.Errorf("finish: %v", got)
	}
	if out := do(t, "", append(move, "--finish")...); !strings.Contains(out, "complete already") || !strings.Contains(out, "cluster "+file) {
		t.Errorf("once more: %s", out)
	}
	refuses(t, 1, "is frozen", "", move...)
	refuses(t, 1, "the state is frozen", "", "practice", "resume", "harbour", "--state", state)

	there := onCluster(t, state, file)
	do(t, "", "practice", "resume", "harbour", "--config", there)
	do(t, "", "audit", "verify", "--all", "--config", there)
	if out := do(t, "", "user", "list", "-p", "harbour", "--config", there); strings.Count(out, "@harbour.test") != 2 {
		t.Errorf("the people there are %s", out)
	}

	// The cluster's backup is a state folder again, and that moves to other databases.
	dir := filepath.Join(t.TempDir(), "backup")
	if got := doJSON(t, "backup", dir, "--config", there); got["intact"] != true || got["practices"] != 2.0 {
		t.Errorf("backup: %v", got)
	}
	restored(t, dir, state)
	if log := kinds(events(t, dir, "harbour", 0)); log[len(log)-1] != "policy/practice_resumed" {
		t.Errorf("the backup's log: %v", log)
	}
	refuses(t, 1, "hold practices and are no copy", "", "migrate", "--state", dir, "--to", file, "--finish")
	other, _, _ := cluster(t)
	do(t, "", "migrate", "--state", dir, "--to", other, "--finish")
	do(t, "", "audit", "verify", "--all", "--config", onCluster(t, dir, other))

	// Taken back, the folder is as it was, the copy is served by nobody, and can be made again.
	do(t, "", "migrate", "--abandon", "--yes", "--state", state, "--to", file)
	refuses(t, 1, "a copy that is not complete", "", "practice", "list", "--config", there)
	do(t, "", "practice", "resume", "harbour", "--state", state)
	do(t, "", append(move, "--finish")...)
}

// TestMoveThatFailsLeavesTheGatewayServing: at the last step, with everything frozen.
func TestMoveThatFailsLeavesTheGatewayServing(t *testing.T) {
	file, p, ok := cluster(t)
	if !ok {
		return
	}
	state := newState(t)
	move := []string{"migrate", "--state", state, "--to", file}
	do(t, "", move...)
	ctx := context.Background()
	server, err := pgx.Connect(ctx, strings.Replace(p.Practices, "{practice}", "harbour", 1))
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close(ctx)
	// The records of the move itself are what has to be copied in the end.
	if _, err := server.Exec(ctx, `ALTER TABLE audit_event ADD CONSTRAINT full_disk CHECK (action <> 'state_moved')`); err != nil {
		t.Fatal(err)
	}
	refuses(t, 1, "nothing was moved, the gateway goes on as before", "", append(move, "--finish")...)
	do(t, "", "practice", "suspend", "harbour", "--state", state)
	refuses(t, 1, "a copy that is not complete", "", "practice", "list", "--config", onCluster(t, state, file))
	if _, err := server.Exec(ctx, `ALTER TABLE audit_event DROP CONSTRAINT full_disk`); err != nil {
		t.Fatal(err)
	}
	do(t, "", append(move, "--finish")...)
}

func TestOtherInstallationsDatabasesAreLeftAlone(t *testing.T) {
	file, _, ok := cluster(t)
	if !ok {
		return
	}
	do(t, "", "migrate", "--state", newState(t), "--to", file)
	stranger := filepath.Join(t.TempDir(), "state")
	do(t, "", "keys", "init", "--state", stranger)
	refuses(t, 1, "another installation's", "", "migrate", "--state", stranger, "--to", file)
}

// TestServingGatewayDuringTheMove: signed-in people go on, what needs a record is told to
// come back, and nothing is lost.
func TestServingGatewayDuringTheMove(t *testing.T) {
	file, _, ok := cluster(t)
	if !ok {
		return
	}
	s := serve(t)
	v := s.signIn()
	s.run("migrate", "--to", file)
	s.run("migrate", "--to", file, "--finish")
	if got := v.status(); got != http.StatusOK {
		t.Errorf("who is signed in gets %d", got)
	}
	req, err := http.NewRequest(http.MethodPost, v.base+"/.gate/login?rd=/", strings.NewReader(url.Values{"email": {"clinician@acacia.test"}, "password": {"wrong"}}.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Origin", v.base)
	res, err := v.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusServiceUnavailable || res.Header.Get("Retry-After") == "" {
		t.Errorf("a sign-in gets %s, Retry-After %q", res.Status, res.Header.Get("Retry-After"))
	}
	config := onCluster(t, s.state, file)
	list := do(t, "", "session", "list", "-p", "acacia", "--config", config)
	if !strings.Contains(list, "clinician@acacia.test") {
		t.Errorf("the session is not on the other side: %s", list)
	}
	s.run("migrate", "--abandon", "--yes")
	s.signIn()
	if _, err := os.Stat(filepath.Join(s.state, "frozen.json")); err == nil {
		t.Error("the marker is still there")
	}
}
