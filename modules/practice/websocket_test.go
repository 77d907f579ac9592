package practice_test

import (
	"net/http"
	"testing"

	"clinicgate/modules/practice"
)

// handshake is a browser's, from a page of host's own. Connection stands as the door
// leaves it.
func handshake(host string) *http.Request {
	return &http.Request{Method: http.MethodGet, Host: host, ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{
		"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Version": {"13"},
		"Sec-Websocket-Key": {"AAECAwQFBgcICQoLDA0ODw=="}, "Origin": {"https://" + host},
	}}
}

func TestOnlyAWebSocketOfOurOwnPageUpgrades(t *testing.T) {
	with := func(name string, values ...string) func(*http.Request) {
		return func(r *http.Request) {
			delete(r.Header, name)
			if values != nil {
				r.Header[name] = values
			}
		}
	}
	for name, c := range map[string]struct {
		host   string
		change func(*http.Request)
		want   any
	}{
		"good":                       {"a.example", with("X"), practice.GoodWebSocket},
		"good, other case":           {"a.example", with("Upgrade", "WebSocket"), practice.GoodWebSocket},
		"good, port said in both":    {"a.example:8443", with("X"), practice.GoodWebSocket},
		"good, :443 in the host":     {"a.example:443", with("Origin", "https://a.example"), practice.GoodWebSocket},
		"good, :443 in the origin":   {"a.example", with("Origin", "https://a.example:443"), practice.GoodWebSocket},
		"good, upper case host":      {"A.example", with("Origin", "https://a.example"), practice.GoodWebSocket},
		"port missing in the origin": {"a.example:8443", with("Origin", "https://a.example"), practice.ForeignOrigin},
		"port 443 for 8443":          {"a.example:8443", with("Origin", "https://a.example:443"), practice.ForeignOrigin},
		"port 4430":                  {"a.example", with("Origin", "https://a.example:4430"), practice.ForeignOrigin},
		"port twice":                 {"a.example", with("Origin", "https://a.example:443:443"), practice.ForeignOrigin},
		"http":                       {"a.example", with("Origin", "http://a.example"), practice.ForeignOrigin},
		"null":                       {"a.example", with("Origin", "null"), practice.ForeignOrigin},
		"missing":                    {"a.example", with("Origin"), practice.ForeignOrigin},
		"two":                        {"a.example", with("Origin", "https://a.example", "https://a.example"), practice.ForeignOrigin},
		"a path":                     {"a.example", with("Origin", "https://a.example/"), practice.ForeignOrigin},
		"h2c":                        {"a.example", with("Upgrade", "h2c"), practice.BadUpgrade},
		"two protocols":              {"a.example", with("Upgrade", "websocket", "h2c"), practice.BadUpgrade},
		"no upgrade, but its token":  {"a.example", with("Upgrade"), practice.BadUpgrade},
		"no token":                   {"a.example", with("Connection"), practice.BadUpgrade},
		"short key":                  {"a.example", with("Sec-Websocket-Key", "AAEC"), practice.BadUpgrade},
		"two keys":                   {"a.example", with("Sec-Websocket-Key", "AAECAwQFBgcICQoLDA0ODw==", "x"), practice.BadUpgrade},
		"version 8":                  {"a.example", with("Sec-Websocket-Version", "8"), practice.BadUpgrade},
		"POST":                       {"a.example", func(r *http.Request) { r.Method = http.MethodPost }, practice.BadUpgrade},
		"HTTP/1.0":                   {"a.example", func(r *http.Request) { r.ProtoMinor = 0 }, practice.BadUpgrade},
		"HTTP/2":                     {"a.example", func(r *http.Request) { r.ProtoMajor, r.ProtoMinor = 2, 0 }, practice.BadUpgrade},
		"a body":                     {"a.example", func(r *http.Request) { r.ContentLength = 1 }, practice.BadUpgrade},
		"a chunked body":             {"a.example", func(r *http.Request) { r.TransferEncoding = []string{"chunked"} }, practice.BadUpgrade},
		"an ordinary request":        {"a.example", func(r *http.Request) { r.Header = http.Header{} }, practice.NoUpgrade},
	} {
		t.Run(name, func(t *testing.T) {
			r := handshake(c.host)
			c.change(r)
			if got := practice.Upgrade(r); any(got) != c.want {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

func FuzzUpgrade(f *testing.F) {
	for _, seed := range [][4]string{
		{"websocket", "AAECAwQFBgcICQoLDA0ODw==", "https://a.example", "a.example"}, {"h2c", "", "null", "a.example:443"},
		{"websocket", "AAECAwQFBgcICQoLDA0ODw==", "https://a.example:443", "a.example:443"}, {"websocket", "AAECAwQFBgcICQoLDA0ODw==", "https://evil", "a.example"},
	} {
		f.Add(seed[0], seed[1], seed[2], seed[3])
	}
	f.Fuzz(func(t *testing.T, protocol, key, origin, host string) {
		r := handshake(host)
		r.Header["Upgrade"], r.Header["Sec-Websocket-Key"], r.Header["Origin"] = []string{protocol}, []string{key}, []string{origin}
		if practice.Upgrade(r) != practice.GoodWebSocket {
			return
		}
		if len(origin) < len("https://") || origin[:len("https://")] != "https://" {
			t.Errorf("the page of %q opened a WebSocket of %q", origin, host)
		}
	})
}
