package hosts_test

import (
	"crypto/tls"
	"fmt"
	"strings"
	"testing"

	"clinicgate/tests/boundary/rig"
)

var protocols = []string{"h1", "h2", "h3"}

// TestHostOfAnotherPractice is THREATS T1: a connection to one practice never serves
// another, whatever certificate they share, and the other's session is not looked at.
func TestHostOfAnotherPractice(t *testing.T) {
	cookies := map[string]string{
		"harbour": sessions.Of(t, gate, "harbour", "admin"), "acacia": sessions.Of(t, gate, "acacia", "clinician"), "nobody": "",
	}
	for _, protocol := range protocols {
		for _, pair := range [][2]string{{"harbour", "acacia"}, {"acacia", "harbour"}, {"banksia", "harbour"}} {
			for whose, cookie := range cookies {
				t.Run(fmt.Sprintf("%s %s as %s with %s's session", protocol, pair[0], pair[1], whose), func(t *testing.T) {
					for _, target := range []string{"/api/echo", "/booking/x", "/.gate/login", "/.gate/session", "/.gate/health"} {
						answer := rig.Refuses(t, gate, rig.Request{
							Protocol: protocol, SNI: pair[0] + ".localhost", Host: rig.Host(gate, pair[1]), Target: target, Cookie: cookie,
						}, 421)
						if set := answer.Header["Set-Cookie"]; set != nil {
							t.Errorf("%s set %q", target, set)
						}
					}
				})
			}
		}
	}
	t.Run("two practices on one connection", func(t *testing.T) {
		c := rig.Open(t, gate, "harbour.localhost")
		own := rig.Request{Host: rig.Host(gate, "harbour"), Cookie: cookies["harbour"]}
		c.Write(own.Text())
		c.Read("GET").Echo(t).Only(t, "X-Practice-Id", "harbour")
		other := rig.Request{Host: rig.Host(gate, "acacia"), Cookie: cookies["acacia"]}
		before := gate.Hits(t, "")
		c.Write(other.Text())
		c.Read("GET").CheckRefusal(t, 421, 0)
		if gate.Hits(t, "") != before {
			t.Error("the other practice's request reached the backend")
		}
	})
}

// TestSessionOfAnotherPractice is a sample of THREATS T3: a good cookie at the wrong
// practice is no session there.
func TestSessionOfAnotherPractice(t *testing.T) {
	for _, protocol := range protocols {
		rig.Refuses(t, gate, rig.Request{Protocol: protocol, Host: rig.Host(gate, "acacia"), Cookie: sessions.Of(t, gate, "harbour", "admin")}, 401)
		rig.Refuses(t, gate, rig.Request{Protocol: protocol, Host: rig.Host(gate, "harbour"), Cookie: sessions.Of(t, gate, "acacia", "clinician")}, 401)
	}
}

// TestHostThatIsNone is THREATS T2 and fact 15 (CVE-2026-27588): every way to name a
// host that is not exactly a practice's; never a default practice.
func TestHostThatIsNone(t *testing.T) {
	cookie := sessions.Of(t, gate, "harbour", "admin")
	p := port(gate)
	for name, host := range map[string]string{
		"trailing dot": "harbour.localhost." + p, "two trailing dots": "harbour.localhost.." + p, "leading dot": ".harbour.localhost" + p,
		"no port": "harbour.localhost:", "port 0": "harbour.localhost:0", "port 99999": "harbour.localhost:99999", "port abc": "harbour.localhost:abc",
		"negative port": "harbour.localhost:-1", "port with a sign": "harbour.localhost:+443", "port with zeros": "harbour.localhost:0443",
		"port with a blank": "harbour.localhost:44 3", "two ports": "harbour.localhost:443" + p, "port, full width": "harbour.localhost:\uff14",
		"unknown": "nobody.localhost" + p, "parent": "localhost" + p, "child": "x.harbour.localhost" + p, "longer": "harbour.localhost.evil.example" + p,
		"prefix": "xharbour.localhost" + p, "empty": "", "blank": " ", "dot": ".", "star": "*", "wildcard": "*.localhost" + p,
		"IPv4": "127.0.0.1" + p, "IPv6": "[::1]" + p, "IPv6 with the name": "[harbour.localhost]" + p, "IPv6 zone": "[::1%25harbour.localhost]" + p,
		"decimal IPv4": "2130706433" + p, "userinfo": "evil@harbour.localhost" + p, "userinfo and password": "a:b@harbour.localhost" + p,
		"path": "harbour.localhost/x", "path behind the port": "harbour.localhost" + p + "/x", "query": "harbour.localhost?x", "fragment": "harbour.localhost#x",
		"scheme": "https://harbour.localhost" + p, "comma": "harbour.localhost" + p + ",acacia.localhost" + p, "comma and blank": "harbour.localhost, acacia.localhost",
		"underscore": "harbour_localhost" + p, "encoded": "%68arbour.localhost" + p, "encoded dot": "harbour%2elocalhost" + p, "NUL": "harbour.localhost\x00" + p,
		"tab inside": "harbour\t.localhost" + p, "backslash": `harbour.localhost\` + p, "quotes": `"harbour.localhost"` + p, "semicolon": "harbour.localhost;x" + p,
		"IDN": "h\u00e4rbour.localhost" + p, "punycode": "xn--hrbour-bua.localhost" + p, "full width": "\uff48arbour.localhost" + p, "soft hyphen": "har\u00adbour.localhost" + p,
		"Kelvin": "\u212aarbour.localhost" + p, "ideographic dot": "harbour\u3002localhost" + p, "long": strings.Repeat("a", 300) + ".localhost" + p, "long label": strings.Repeat("a.", 200) + "localhost" + p,
		"placeholder": "{http.request.host}" + p, "practice id": "harbour" + p,
	} {
		for _, protocol := range []string{"h1", "h2"} {
			t.Run(protocol+" "+name, func(t *testing.T) {
				rig.Refuses(t, gate, rig.Request{Protocol: protocol, SNI: "harbour.localhost", Host: host, Cookie: cookie}, 421, 400, 0)
				rig.Refuses(t, gate, rig.Request{Protocol: protocol, SNI: "harbour.localhost", Host: host, Target: "/booking/x"}, 421, 400, 0)
			})
		}
	}
}

// TestHostInAnyCase is THREATS T2: letters' case and a port make no other practice.
func TestHostInAnyCase(t *testing.T) {
	cookie := sessions.Of(t, gate, "harbour", "admin")
	for name, host := range map[string]string{
		"upper case": "HARBOUR.LOCALHOST" + port(gate), "mixed case": "HarBour.LocalHost" + port(gate), "without port": "harbour.localhost", "another port": "harbour.localhost:8443",
	} {
		for _, protocol := range protocols {
			t.Run(protocol+" "+name, func(t *testing.T) {
				echo := rig.Passes(t, gate, rig.Request{Protocol: protocol, SNI: "harbour.localhost", Host: host, Cookie: cookie})
				echo.Only(t, "X-Practice-Id", "harbour")
			})
		}
	}
	t.Run("upper case in the TLS name", func(t *testing.T) {
		conn := gate.Dial(t, "HARBOUR.localhost", "http/1.1")
		if conn.ConnectionState().Version < tls.VersionTLS12 {
			t.Error("TLS below 1.2")
		}
		echo := rig.Passes(t, gate, rig.Request{SNI: "HARBOUR.localhost", Host: "harbour.localhost", Cookie: cookie})
		echo.Only(t, "X-Practice-Id", "harbour")
	})
}

// TestTwoHosts is THREATS T2 and fact 4: what names two hosts, names none.
func TestTwoHosts(t *testing.T) {
	ours, other := rig.Host(gate, "harbour"), rig.Host(gate, "acacia")
	cookie := sessions.Of(t, gate, "harbour", "admin")
	h1 := func(target string, hosts ...string) rig.Request {
		request := rig.Request{SNI: "harbour.localhost", Target: target, Cookie: cookie}
		for _, host := range hosts {
			request.Header = append(request.Header, rig.Field{"Host", host})
		}
		return request
	}
	for name, request := range map[string]rig.Request{
		"Host twice":                      h1("/api/echo", ours, other),
		"Host twice, the same":            h1("/api/echo", ours, ours),
		"Host twice, ours last":           h1("/api/echo", other, ours),
		"no Host":                         h1("/api/echo"),
		"absolute form":                   h1("https://"+ours+"/api/echo", ours),
		"absolute form of the other":      h1("https://"+other+"/api/echo", ours),
		"absolute form, Host the other":   h1("https://"+ours+"/api/echo", other),
		"absolute form, http":             h1("http://"+ours+"/api/echo", ours),
		"absolute form, no Host":          h1("https://" + ours + "/api/echo"),
		"absolute form, no path":          h1("https://"+ours, ours),
		"absolute form, other scheme":     h1("ftp://"+ours+"/api/echo", ours),
		"network-path form":               h1("//"+other+"/api/echo", ours),
		"blank before the colon":          {SNI: "harbour.localhost", Cookie: cookie, Header: []rig.Field{{"Host ", other}, {"Host", ours}}},
		"folded":                          {SNI: "harbour.localhost", Cookie: cookie, Header: []rig.Field{{"Host", ours + "\r\n " + other}}},
		"a tab before the name":           {SNI: "harbour.localhost", Cookie: cookie, Header: []rig.Field{{"Host", ours}, {"\tHost", other}}},
		"bare CR in the value":            {SNI: "harbour.localhost", Cookie: cookie, Header: []rig.Field{{"Host", ours + "\r" + other}}},
		"another line after a bare LF":    {SNI: "harbour.localhost", Cookie: cookie, Header: []rig.Field{{"Host", ours + "\nHost: " + other}}},
		"X-Host cannot stand in for none": {SNI: "harbour.localhost", Cookie: cookie, Header: []rig.Field{{"X-Forwarded-Host", ours}, {"X-Host", ours}}},
	} {
		t.Run("h1 "+name, func(t *testing.T) { rig.Refuses(t, gate, request, 400, 421) })
	}
	t.Run("HTTP/1.0 without Host", func(t *testing.T) {
		before := gate.Hits(t, "")
		c := rig.Open(t, gate, "harbour.localhost")
		c.Write("GET /api/echo HTTP/1.0\r\nCookie: __Host-gate=" + cookie + "\r\n\r\n")
		c.Read("GET").CheckRefusal(t, 400, 421)
		if gate.Hits(t, "") != before || !c.Ended() {
			t.Error("it reached the backend, or the connection goes on")
		}
	})
	pseudo := func(fields ...rig.Field) rig.Request {
		return rig.Request{Protocol: "h2", SNI: "harbour.localhost", Cookie: cookie, Pseudo: fields}
	}
	method, scheme, path := rig.Field{":method", "GET"}, rig.Field{":scheme", "https"}, rig.Field{":path", "/api/echo"}
	with := func(request rig.Request, fields ...rig.Field) rig.Request {
		request.Header = append(request.Header, fields...)
		return request
	}
	for name, request := range map[string]rig.Request{
		"authority and host":           with(pseudo(method, scheme, path, rig.Field{":authority", ours}), rig.Field{"host", other}),
		"authority other, host ours":   with(pseudo(method, scheme, path, rig.Field{":authority", other}), rig.Field{"host", ours}),
		"no authority":                 pseudo(method, scheme, path),
		"no authority, other host":     with(pseudo(method, scheme, path), rig.Field{"host", other}),
		"no authority, two hosts":      with(pseudo(method, scheme, path), rig.Field{"host", ours}, rig.Field{"host", other}),
		"two authorities":              pseudo(method, scheme, path, rig.Field{":authority", ours}, rig.Field{":authority", other}),
		"empty authority, other host":  with(pseudo(method, scheme, path, rig.Field{":authority", ""}), rig.Field{"host", other}),
		"two paths":                    pseudo(method, scheme, path, rig.Field{":path", "/booking/x"}, rig.Field{":authority", ours}),
		"no path":                      pseudo(method, scheme, rig.Field{":authority", ours}),
		"empty path":                   pseudo(method, scheme, rig.Field{":path", ""}, rig.Field{":authority", ours}),
		"absolute path":                pseudo(method, scheme, rig.Field{":path", "https://" + ours + "/api/echo"}, rig.Field{":authority", ours}),
		"scheme http, other authority": pseudo(method, rig.Field{":scheme", "http"}, path, rig.Field{":authority", other}),
		"pseudo field unknown":         pseudo(method, scheme, path, rig.Field{":authority", ours}, rig.Field{":practice", "acacia"}),
		"pseudo field late":            with(pseudo(method, scheme, path), rig.Field{"x-a", "b"}, rig.Field{":authority", ours}),
		"CR LF in the authority":       pseudo(method, scheme, path, rig.Field{":authority", ours + "\r\nX-Practice-Id: acacia"}),
		"CR LF in the path":            pseudo(method, scheme, rig.Field{":path", "/api/echo HTTP/1.1\r\nX-Practice-Id: acacia\r\n\r\n"}, rig.Field{":authority", ours}),
		"CR LF in the method":          pseudo(rig.Field{":method", "GET / HTTP/1.1\r\nHost: " + other + "\r\n\r\nGET"}, scheme, path, rig.Field{":authority", ours}),
		"CR LF in a value":             with(pseudo(method, scheme, path, rig.Field{":authority", ours}), rig.Field{"x-a", "b\r\nX-Practice-Id: acacia"}),
		"CR LF in a name":              with(pseudo(method, scheme, path, rig.Field{":authority", ours}), rig.Field{"x-a: b\r\nx-practice-id", "acacia"}),
		"upper case in a name":         with(pseudo(method, scheme, path, rig.Field{":authority", ours}), rig.Field{"!X-Practice-Id", "acacia"}),
		"NUL in a value":               with(pseudo(method, scheme, path, rig.Field{":authority", ours}), rig.Field{"x-a", "b\x00c"}),
		"blank around a name":          with(pseudo(method, scheme, path, rig.Field{":authority", ours}), rig.Field{"x-practice-id ", "acacia"}),
	} {
		t.Run("h2 "+name, func(t *testing.T) { rig.Refuses(t, gate, request, 400, 421, 0) })
	}
	for name, request := range map[string]rig.Request{
		"host in place of the authority": with(pseudo(method, scheme, path), rig.Field{"host", ours}),
		"authority and the same host":    with(pseudo(method, scheme, path, rig.Field{":authority", ours}), rig.Field{"host", ours}),
	} {
		t.Run("h2 "+name, func(t *testing.T) {
			answer := rig.Send(t, gate, request)
			if answer.Status != 200 {
				answer.CheckRefusal(t, 400, 421, 0)
				return
			}
			echo := answer.Echo(t)
			echo.Only(t, "X-Practice-Id", "harbour")
			echo.Only(t, "Host", ours)
		})
	}
}

// TestOptionsOfTheWholeServer: "OPTIONS *" names nothing that a practice has. net/http
// would answer it by itself, before any handler and without HSTS.
func TestOptionsOfTheWholeServer(t *testing.T) {
	for _, request := range []rig.Request{
		{SNI: "harbour.localhost", Host: "harbour.localhost", Method: "OPTIONS", Target: "*"},
		{Protocol: "h2", SNI: "harbour.localhost", Host: "harbour.localhost", Method: "OPTIONS", Target: "*"},
	} {
		rig.Refuses(t, gate, request, 400)
	}
}

// TestNoServerName: without SNI, or with one that is no practice's, there is not even
// a certificate, and nothing is issued for strangers.
func TestNoServerName(t *testing.T) {
	for _, name := range []string{"", "nobody.localhost", "localhost", "127.0.0.1", "harbour.localhost.", "x.harbour.localhost", "*.localhost", "xn--hrbour-bua.localhost", "HARBOUR_.localhost"} {
		config := gate.TLS(name, "http/1.1")
		config.InsecureSkipVerify = true // it is the server's refusal that counts
		conn, err := tls.Dial("tcp", gate.Addr, config)
		if err != nil {
			continue
		}
		state := conn.ConnectionState()
		conn.Close()
		if name != "harbour.localhost." { // the trailing dot never is on the wire: crypto/tls cuts it
			t.Errorf("%q got a certificate for %q", name, state.PeerCertificates[0].DNSNames)
		}
	}
}
