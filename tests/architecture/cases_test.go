package architecture_test

import "strings"

// example is a file and what a rule says of it.
type example struct {
	path, source string
	rule         func(*file) []string
	want         string
}

func importing(path string) string { return "package p\n\nimport _ \"" + path + "\"\n" }

func violations() map[string]example {
	return map[string]example{
		"policy imports config": {"policy/x.go", importing("clinicgate/config"), imports,
			"policy/x.go:3: policy must not import config: it may import nothing of ours (DESIGN section 3)"},
		"config imports the gateway": {"config/x.go", importing("clinicgate/gateway/bus"), imports,
			"config/x.go:3: config must not import gateway/bus: it may import only config, policy (DESIGN section 3)"},
		"certs imports the core": {"certs/x.go", importing("clinicgate/gateway/directory"), imports,
			"certs/x.go:3: certs must not import gateway/directory: it may import nothing of ours (DESIGN section 3)"},
		"a worker process learns of people": {"gateway/hashing/x.go", importing("clinicgate/gateway/account"), imports,
			"gateway/hashing/x.go:3: gateway/hashing must not import gateway/account: it may import nothing of ours (DESIGN section 3)"},
		"a part imports a module": {"gateway/session/x.go", importing("clinicgate/modules/login"), imports,
			"gateway/session/x.go:3: gateway must not import modules/login: it may import only gateway, config, policy without " +
				"gateway/core, gateway/command, gateway/demo (DESIGN section 3)"},
		"a part imports the composition": {"gateway/session/x.go", importing("clinicgate/gateway/core"), imports,
			"gateway/session/x.go:3: gateway must not import gateway/core: it may import only gateway, config, policy without " +
				"gateway/core, gateway/command, gateway/demo (DESIGN section 3)"},
		"a part's test imports the tests": {"gateway/session/x_test.go", importing("clinicgate/tests/harness"), imports,
			"gateway/session/x_test.go:3: gateway must not import tests/harness: it may import only gateway, config, policy without " +
				"gateway/core, gateway/command, gateway/demo (DESIGN section 3)"},
		"the core imports the commands": {"gateway/core/x.go", importing("clinicgate/gateway/command"), imports,
			"gateway/core/x.go:3: gateway/core must not import gateway/command: it may import only gateway, config, policy without " +
				"gateway/command, gateway/demo (DESIGN section 3)"},
		"main calls a module": {"gateway/main.go", "package main\n\nimport s \"clinicgate/modules/standard\"\n", imports,
			"gateway/main.go:3: gateway (main) must not import modules/standard: it may import only for its effect: import _ (DESIGN section 3)"},
		"main imports another module": {"gateway/main.go", importing("clinicgate/modules/login"), imports,
			"gateway/main.go:3: gateway (main) must not import modules/login: it may import only gateway, config, policy (DESIGN section 3)"},
		"a module imports the tests": {"modules/login/x.go", importing("clinicgate/tests/harness"), imports,
			"modules/login/x.go:3: modules must not import tests/harness: it may import only modules, gateway, config, policy without " +
				"modules/standard (DESIGN section 3)"},
		"a module imports the certificates": {"modules/login/x.go", importing("clinicgate/certs"), imports,
			"modules/login/x.go:3: modules must not import certs: it may import only modules, gateway, config, policy without " +
				"modules/standard (DESIGN section 3)"},
		"a module imports the list": {"modules/login/x.go", importing("clinicgate/modules/standard"), imports,
			"modules/login/x.go:3: modules must not import modules/standard: it may import only modules, gateway, config, policy without " +
				"modules/standard (DESIGN section 3)"},
		"a module's inner test imports the list": {"modules/login/x_test.go", importing("clinicgate/modules/standard"), imports,
			"modules/login/x_test.go:3: modules must not import modules/standard: it may import only modules, gateway, config, policy without " +
				"modules/standard (DESIGN section 3)"},
		"a module's test calls the list": {"modules/login/x_test.go", "package p_test\n\nimport s \"clinicgate/modules/standard\"\n", imports,
			"modules/login/x_test.go:3: modules must not import modules/standard: it may import only modules, gateway, config, policy without " +
				"modules/standard (DESIGN section 3)"},
		"a part's test imports the list": {"gateway/session/x_test.go", "package p_test\n\nimport _ \"clinicgate/modules/standard\"\n", imports,
			"gateway/session/x_test.go:3: gateway must not import modules/standard: it may import only gateway, config, policy without " +
				"gateway/core, gateway/command, gateway/demo (DESIGN section 3)"},
		"a part knows Caddy": {"gateway/audit/x.go", importing("github.com/caddyserver/caddy/v2/modules/caddyhttp"), outside,
			"gateway/audit/x.go:3: gateway must not import github.com/caddyserver/caddy/v2/modules/caddyhttp: " +
				"only gateway/main.go, gateway/command, modules and certs know Caddy"},
		"the core knows HTTP": {"gateway/core/x.go", importing("net/http"), outside,
			"gateway/core/x.go:3: gateway/core must not import net/http: the core knows no HTTP: what it needs of a request is a parameter"},
		"the policy reads files": {"policy/x.go", importing("os"), outside,
			"policy/x.go:3: policy must not import os: the policy is pure: what it needs is a parameter"},
		"the policy takes a library": {"policy/x.go", importing("github.com/x/y"), outside,
			"policy/x.go:3: policy must not import github.com/x/y: the policy imports the standard library and golang.org/x/text alone"},
		"predictable randomness": {"modules/login/x.go", importing("math/rand/v2"), outside,
			"modules/login/x.go:3: modules must not import math/rand/v2: it can be predicted: use crypto/rand"},
		"profiling in public": {"modules/app/x.go", importing("net/http/pprof"), outside,
			"modules/app/x.go:3: modules must not import net/http/pprof: it registers itself on the default mux (THREATS P3)"},
		"a clock in a part": {"gateway/session/x.go", "package p\n\nimport \"time\"\n\nvar t = time.Now()\n", clockAndDice,
			"gateway/session/x.go:5: time.Now is called: take now as a parameter, so that tests can set it"},
		"long file": {"policy/x.go", "package p\n" + strings.Repeat("\n", 500), fileLength,
			"policy/x.go: 501 lines, more than 500: split it by what its parts are about"},
		"long method": {"policy/x.go", "package p\n\nfunc (t T) run() {" + strings.Repeat("\n", 100) + "}\n", functionLength,
			"policy/x.go:3: run has 101 lines, more than 100: give its steps names"},
		"skipped test": {"policy/x_test.go", testFile + "func TestX(t *testing.T) { t.Skip(\"later\") }\n", noSkips,
			"policy/x_test.go:5: t.Skip: a test runs or is deleted"},
		"skipped in a helper": {"tests/harness/x.go", testFile + "func need(tb testing.TB) { tb.SkipNow() }\n", noSkips,
			"tests/harness/x.go:5: tb.SkipNow: a test runs or is deleted"},
		"short tests": {"policy/x_test.go", testFile + "func TestX(t *testing.T) {\n\tif testing.Short() {\n\t\treturn\n\t}\n}\n", noSkips,
			"policy/x_test.go:6: a return when testing.Short: a test runs or is deleted"},
		"test left out of the build": {"policy/x_test.go", "//go:build ignore\n\npackage p\n", noSkips,
			"policy/x_test.go:1: the file is left out by //go:build ignore: a test runs or is deleted"},
		"hidden files embedded": {"gateway/demo/x.go", "package p\n\n//go:embed all:pages\nvar x int\n", embedded,
			"gateway/demo/x.go: go:embed all:pages takes hidden files in: name what is needed"},
		"nothing embedded": {"gateway/demo/x.go", "package p\n\n//go:embed *.html\nvar x int\n", embedded,
			"gateway/demo/x.go: go:embed *.html matches nothing"},
	}
}

const testFile = "package p\n\nimport \"testing\"\n\n"

func accepted() map[string]example {
	return map[string]example{
		"policy":              {path: "policy/x.go", source: importing("golang.org/x/text/unicode/norm")},
		"zones of a clock":    {path: "policy/x.go", source: importing("time/tzdata")},
		"config":              {path: "config/x.go", source: importing("clinicgate/policy")},
		"a part on a part":    {path: "gateway/session/x.go", source: importing("clinicgate/gateway/bus")},
		"the composition":     {path: "gateway/core/x.go", source: importing("clinicgate/gateway/session")},
		"the commands":        {path: "gateway/command/x.go", source: importing("github.com/caddyserver/caddy/v2/cmd")},
		"the demo":            {path: "gateway/demo/backend/x.go", source: importing("net/http")},
		"main":                {path: "gateway/main.go", source: importing("clinicgate/modules/standard")},
		"modules":             {path: "modules/login/x.go", source: importing("clinicgate/gateway/account")},
		"the list":            {path: "modules/standard/x.go", source: importing("clinicgate/certs")},
		"a part in the whole": {path: "modules/directive/x_test.go", source: "package p_test\n\nimport _ \"clinicgate/modules/standard\"\n"},
		"black box":           {path: "tests/harness/x.go", source: importing("clinicgate/gateway/core")},
		"own test":            {path: "modules/standard/x_test.go", source: importing("clinicgate/modules/standard")},
		"a default clock":     {path: "gateway/session/x.go", source: "package p\n\nimport \"time\"\n\nvar now = time.Now\n"},
		"500 lines":           {path: "policy/x.go", source: "package p\n" + strings.Repeat("\n", 499)},
		"100 lines":           {path: "policy/x.go", source: "package p\n\nfunc run() {" + strings.Repeat("\n", 99) + "}\n"},
		"fewer rounds":        {path: "policy/x_test.go", source: testFile + "func TestX(t *testing.T) {\n\tif testing.Short() {\n\t\trounds = 3\n\t}\n}\n"},
		"another Skip":        {path: "gateway/audit/x.go", source: "package p\n\nfunc run(d decoder) { d.Skip() }\n"},
	}
}
