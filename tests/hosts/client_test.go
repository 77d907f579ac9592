package hosts_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"clinicgate/tests/boundary/rig"
)

// allowing is acacia open to one network alone, its own pages included.
func allowing(t *testing.T, network string) string {
	t.Helper()
	return rig.Document(t, "acacia", "access:\n", "network: {allow: ["+network+"]}\naccess:\n", "/booking/*", "/api/echo")
}

// garbage are values of a forwarded header that no parser may take for an address of
// the network 203.0.113.0/24, fall over, or take long over.
var garbage = map[string]string{
	"empty": "", "commas": ",,,,", "word": "unknown", "hidden": "_hidden", "placeholder": "{http.request.remote.host}", "brackets": "[203.0.113.7", "too long": "203.0.113.7.1",
	"hex": "0xcb007107", "decimal": "3405803783", "octal": "0313.0.0161.07", "leading zeros": "203.000.113.007", "blank inside": "203.0. 113.7", "encoded": "203%2e0.113.7",
	"full width": "２03.0.113.7", "CIDR": "203.0.113.0/24", "quoted": `"203.0.113.7"`, "for": "for=203.0.113.7", "port alone": ":443",
	"10,000 entries": strings.Repeat("1.2.3.4,", 3000) + "1.2.3.4", "10,000 commas": strings.Repeat(",", 10_000), "long word": strings.Repeat("9", 20_000),
}

// TestForwardedAddressWithoutTrustedProxies is THREATS X1: nobody is trusted, so no
// header changes the address that the allow list, the limits and the audit log see.
func TestForwardedAddressWithoutTrustedProxies(t *testing.T) {
	const host = "enclave.localhost"
	document := strings.NewReplacer("127.0.0.1:9000", strings.TrimPrefix(gate.Backend, "http://"), "acacia", "enclave").
		Replace(allowing(t, "203.0.113.0/24"))
	rig.Apply(t, gate, document, host, "/api/echo", 403)
	for _, protocol := range protocols {
		for _, name := range []string{
			"X-Forwarded-For", "x-forwarded-for", "X_Forwarded_For", "Forwarded", "X-Real-IP", "X-Client-IP", "True-Client-IP", "CF-Connecting-IP", "Fastly-Client-IP", "X-Cluster-Client-IP",
			"X-Originating-IP", "X-Remote-IP", "X-Remote-Addr", "Client-IP", "X-ProxyUser-Ip", "X-Original-Forwarded-For", "X-Envoy-External-Address", "Via",
		} {
			t.Run(protocol+" "+name, func(t *testing.T) {
				for _, value := range []string{"203.0.113.7", "203.0.113.7, 127.0.0.1", "127.0.0.1, 203.0.113.7", "for=203.0.113.7", "::ffff:203.0.113.7"} {
					for _, target := range []string{"/api/echo", "/.gate/login", "/"} {
						rig.Refuses(t, gate, rig.Request{Protocol: protocol, Host: host, Target: target, Header: []rig.Field{{name, value}}}, 403)
					}
				}
			})
		}
	}
	log := ""
	for deadline := time.Now().Add(20 * time.Second); !strings.Contains(log, `"class":"refusal"`) && time.Now().Before(deadline); {
		log, _, _ = gate.Run(t, "audit", "export", "--practice", "enclave", "--format", "jsonl") // refusals are written in batches
	}
	if strings.Contains(log, `"address":"203.`) || !strings.Contains(log, `"address":"127.0.0.1"`) {
		t.Errorf("the audit log knows another address than the connection's: %.2000s", log)
	}
}

// TestForwardedAddressBehindTrustedProxies is THREATS X1 and X2: right to left, the
// first that is no trusted proxy counts; what a client wrote to the left of it does
// not, whatever it is.
func TestForwardedAddressBehindTrustedProxies(t *testing.T) {
	g := rig.Seed(t, allowing(t, "203.0.113.0/24, 2001:db8:1::/48")).Run(t, rig.Config{
		Servers: "trusted_proxies static 127.0.0.1/32 10.0.0.0/8\n\t\ttrusted_proxies_strict",
	})
	host := rig.Host(g, "acacia")
	send := func(protocol string, values ...string) rig.Request {
		request := rig.Request{Protocol: protocol, Host: host}
		for _, value := range values {
			request.Header = append(request.Header, rig.Field{"X-Forwarded-For", value})
		}
		return request
	}
	for _, protocol := range protocols {
		for client, values := range map[string][]string{
			"203.0.113.7":     {"203.0.113.7"},
			"203.0.113.8":     {"203.0.113.8, 10.1.2.3"},
			"203.0.113.9":     {"198.51.100.1, 203.0.113.9, 10.1.2.3, 10.1.2.4"},
			"203.0.113.10":    {"198.51.100.1", "203.0.113.10"},
			"203.0.113.11":    {"  203.0.113.11  "},
			"203.0.113.12":    {"::ffff:203.0.113.12"},
			"2001:db8:1::1":   {"2001:db8:1::1"},
			"2001:db8:1::2":   {"2001:DB8:1:0:0:0:0:2"},
			"203.0.113.13":    {"203.0.113.13:5060"},
			"2001:db8:1::3":   {"[2001:db8:1::3]:5060"},
			"203.0.113.14":    {"127.0.0.1, 203.0.113.14"},
			"203.0.113.15":    {"<script>, 203.0.113.15"},
			"2001:db8:1::4":   {"2001:db8:1::4%eth0"},
			"203.0.113.16":    {strings.Repeat("1.2.3.4, ", 1000) + "203.0.113.16"},
			"203.0.113.17":    {strings.Repeat("garbage, ", 1000) + "203.0.113.17"},
			"203.0.113.18":    {"203.0.113.18, 10.0.0.1,"},
			"203.0.113.19":    {"203.0.113.19, "},
			"203.0.113.20":    {"203.0.113.20, 127.0.0.1"},
			"2001:db8:1:2::6": {"2001:db8:1:2::6"},
		} {
			t.Run(protocol+" from "+client, func(t *testing.T) {
				echo := rig.Passes(t, g, send(protocol, values...))
				echo.Only(t, "X-Forwarded-For", client+", 127.0.0.1")
				echo.Only(t, "X-Forwarded-Host", host)
				echo.Only(t, "X-Forwarded-Proto", "https")
			})
		}
		for name, values := range map[string][]string{
			"none":                         nil,
			"outside":                      {"198.51.100.1"},
			"inside, claimed by outside":   {"203.0.113.7, 198.51.100.1"},
			"inside, claimed through one":  {"203.0.113.7, 198.51.100.1, 10.1.2.3"},
			"in another line, on the left": {"203.0.113.7", "198.51.100.1"},
			"only proxies":                 {"10.1.2.3, 10.1.2.4"},
			"mapped outside":               {"203.0.113.7, ::ffff:198.51.100.1"},
			"IPv6 outside":                 {"203.0.113.7, 2001:db8:2::1"},
			"a mapped proxy":               {"203.0.113.7, ::ffff:10.0.0.1"},
			"behind a word":                {"203.0.113.7, unknown"},
			"behind two words":             {"203.0.113.7, unknown, 10.1.2.3, -"},
			"behind a word in a line":      {"203.0.113.7", "unknown"},
			"behind a broken address":      {"203.0.113.7, 198.51.100.1.1"},
			"unspecified":                  {"203.0.113.7, 0.0.0.0"},
			"broadcast":                    {"203.0.113.7, 255.255.255.255"},
		} {
			t.Run(protocol+" refused "+name, func(t *testing.T) {
				rig.Refuses(t, g, send(protocol, values...), 403)
			})
		}
		for name, value := range garbage {
			t.Run(protocol+" garbage "+name, func(t *testing.T) {
				rig.Refuses(t, g, send(protocol, value), 403, 431, 400, 0)
				rig.Refuses(t, g, send(protocol, "198.51.100.1, "+value), 403, 431, 400, 0)
			})
		}
		t.Run(protocol+" what else a trusted proxy says", func(t *testing.T) {
			request := send(protocol, "203.0.113.7")
			for _, name := range []string{"X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Port", "X-Real-Ip", "Forwarded", "X-Practice-Id", "X-User-Id"} {
				request.Header = append(request.Header, rig.Field{name, rig.Canary})
			}
			echo := rig.Passes(t, g, request)
			for name, values := range echo.Headers {
				if strings.Contains(fmt.Sprint(values), rig.Canary) {
					t.Errorf("the backend saw %s %q", name, values)
				}
			}
		})
	}
}
