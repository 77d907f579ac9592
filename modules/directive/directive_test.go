package directive_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/google/go-cmp/cmp"

	_ "clinicgate/modules/standard"
)

var update = flag.Bool("update", false, "write the goldens anew; read the difference before you commit it")

// TestGoldens adapts every Caddyfile in testdata: what is accepted has its JSON beside
// it, what is refused ("refused_…") its error, so that a change to either is seen.
func TestGoldens(t *testing.T) {
	files, err := filepath.Glob("testdata/*.caddyfile")
	if err != nil || len(files) < 10 {
		t.Fatalf("found %d Caddyfiles, err %v", len(files), err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".caddyfile")
		t.Run(name, func(t *testing.T) {
			source, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			adapted, _, failed := caddyconfig.GetAdapter("caddyfile").Adapt(source, map[string]any{"filename": name})
			golden, got := "testdata/"+name+".json", indented(t, adapted)
			if strings.HasPrefix(name, "refused_") {
				if failed == nil {
					t.Fatalf("accepted:\n%s", got)
				}
				golden, got = "testdata/"+name+".txt", failed.Error()+"\n"
			} else if failed != nil {
				t.Fatal(failed)
			}
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", golden, diff)
			}
		})
	}
}

func indented(t *testing.T, raw []byte) string {
	t.Helper()
	if raw == nil {
		return ""
	}
	var out bytes.Buffer
	if err := json.Indent(&out, raw, "", "  "); err != nil {
		t.Fatal(err)
	}
	return out.String() + "\n"
}

// TestShippedCaddyfileAdapts keeps config/Caddyfile in step with the directive.
func TestShippedCaddyfileAdapts(t *testing.T) {
	source, err := os.ReadFile("../../config/Caddyfile")
	if err != nil {
		t.Fatal(err)
	}
	adapted, warnings, err := caddyconfig.GetAdapter("caddyfile").Adapt(source, map[string]any{"filename": "Caddyfile"})
	if err != nil || len(warnings) > 0 {
		t.Fatalf("err %v, warnings %v", err, warnings)
	}
	for _, want := range []string{`"practice_enforce"`, `"strict_sni_host":true`, `"trusted_proxies_strict":1`, `"permission":{"module":"practice"}`, `"exclude":["http.log.error"]`} {
		if !bytes.Contains(adapted, []byte(want)) {
			t.Errorf("the shipped config lacks %s", want)
		}
	}
	// Figures for every route cost time on every request (docs/decisions/0011-collector-and-metrics.md), and an
	// access log would hold addresses that name patients.
	for _, unwanted := range []string{`"metrics":`, `"logs":{}`} {
		if bytes.Contains(adapted, []byte(unwanted)) {
			t.Errorf("the shipped config has %s", unwanted)
		}
	}
}
