package cluster_test

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// The files that are shipped for a cluster say what the documents say of them. The Caddyfile,
// cluster.yaml and make-secrets are what all other tests here run with.
func TestShippedFilesOfACluster(t *testing.T) {
	kinds := map[string]map[string]any{}
	for decoder := yaml.NewDecoder(strings.NewReader(shipped(t, "cluster/kubernetes.yaml"))); ; {
		var object map[string]any
		if err := decoder.Decode(&object); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		kinds[object["kind"].(string)] = object
	}
	if got := at(kinds["Deployment"], "spec", "replicas"); got != 2 {
		t.Errorf("%v replicas", got)
	}
	if got := at(kinds["PodDisruptionBudget"], "spec", "minAvailable"); got != 1 {
		t.Errorf("minAvailable is %v", got)
	}
	pod := at(kinds["Deployment"], "spec", "template", "spec").(map[string]any)
	gateway := pod["containers"].([]any)[0].(map[string]any)
	for _, probe := range []string{"startupProbe", "readinessProbe", "livenessProbe"} {
		if gateway[probe] == nil {
			t.Errorf("no %s", probe)
		}
	}
	for _, volume := range pod["volumes"].([]any) {
		if name := at(volume, "name"); name == "secrets" && at(volume, "secret", "secretName") == nil {
			t.Error("the secrets are no volume of a secret")
		}
	}

	var compose map[string]any
	if err := yaml.Unmarshal([]byte(shipped(t, "cluster/compose.yaml")), &compose); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"gateway-1", "gateway-2"} {
		volumes, _ := at(compose, "services", name, "volumes").([]any)
		for _, file := range []string{"Caddyfile", "cluster.yaml", "platform.yaml", "ca.crt", "master.key", "postgres.password", "redis.password"} {
			if !slices.ContainsFunc(volumes, func(v any) bool { return strings.HasSuffix(v.(string), ":/etc/clinicgate/"+file+":ro") }) {
				t.Errorf("%s has no %s", name, file)
			}
		}
	}
	for _, name := range []string{"compose.yaml", "kubernetes.yaml", "haproxy.cfg"} {
		if text := []byte(shipped(t, "cluster/"+name)); bytes.Contains(text, []byte("PASSWORD:")) {
			t.Errorf("%s has a password in it", name)
		}
	}
}

// at is what stands at a path in a document, nil for nothing.
func at(document any, path ...string) any {
	for _, name := range path {
		fields, _ := document.(map[string]any)
		document = fields[name]
	}
	return document
}
