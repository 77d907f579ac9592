package boundary_test

import (
	"strings"
	"testing"

	"clinicgate/tests/boundary/rig"
)

// key is a WebSocket key of 16 bytes.
const key = "AAECAwQFBgcICQoLDA0ODw=="

// handshake is what a browser sends from harbour's own page; fields of the same name
// in change replace its own, a value of "-" removes it.
func handshake(t *testing.T, change ...rig.Field) rig.Request {
	t.Helper()
	fields := []rig.Field{
		{"Connection", "Upgrade"}, {"Upgrade", "websocket"}, {"Sec-WebSocket-Version", "13"},
		{"Sec-WebSocket-Key", key}, {"Origin", "https://" + rig.Host(gate, "harbour")},
	}
	replaced := map[string]bool{}
	for _, field := range change {
		replaced[strings.ToLower(field[0])] = true
	}
	request := admin(t, "h1")
	request.Target = "/ws"
	for _, field := range fields {
		if !replaced[strings.ToLower(field[0])] {
			request.Header = append(request.Header, field)
		}
	}
	for _, field := range change {
		if field[1] != "-" {
			request.Header = append(request.Header, field)
		}
	}
	return request
}

// TestWebSocketFromAForeignPage is THREATS Z1: browsers let any page open one, with
// cookies; only the Origin tells.
func TestWebSocketFromAForeignPage(t *testing.T) {
	host := rig.Host(gate, "harbour")
	for name, origin := range map[string][]rig.Field{
		"another site":       {{"Origin", "https://evil.example"}},
		"a sibling practice": {{"Origin", "https://" + rig.Host(gate, "acacia")}},
		"null":               {{"Origin", "null"}},
		"missing":            {{"Origin", "-"}},
		"empty":              {{"Origin", ""}},
		"http":               {{"Origin", "http://" + host}},
		"another port":       {{"Origin", "https://harbour.localhost:1"}},
		"the default port":   {{"Origin", "https://harbour.localhost"}},
		"a longer host":      {{"Origin", "https://" + host + ".evil.example"}},
		"a longer port":      {{"Origin", "https://" + host + "0"}},
		"userinfo":           {{"Origin", "https://" + host + "@evil.example"}},
		"with a path":        {{"Origin", "https://" + host + "/"}},
		"two":                {{"Origin", "https://" + host}, {"Origin", "https://evil.example"}},
		"two of ours":        {{"Origin", "https://" + host}, {"Origin", "https://" + host}},
		"a list":             {{"Origin", "https://" + host + " https://evil.example"}},
		"a subdomain":        {{"Origin", "https://x." + host}},
		"trailing dot":       {{"Origin", "https://harbour.localhost.:" + host[strings.Index(host, ":")+1:]}},
		"wss":                {{"Origin", "wss://" + host}},
		"an extension":       {{"Origin", "chrome-extension://abcdef"}},
		"in Sec-WebSocket-Origin": {
			{"Origin", "-"}, {"Sec-WebSocket-Origin", "https://" + host}},
	} {
		t.Run(name, func(t *testing.T) {
			rig.Refuses(t, gate, handshake(t, origin...), 403)
		})
	}
}

// TestUpgradeThatIsNoWebSocket is fact 12: whatever else upgrades would become a raw
// tunnel, on which further requests carry no identity.
func TestUpgradeThatIsNoWebSocket(t *testing.T) {
	for name, change := range map[string][]rig.Field{
		"h2c":                   {{"Upgrade", "h2c"}, {"HTTP2-Settings", "AAMAAABkAARAAAAAAAIAAAAA"}, {"Connection", "Upgrade, HTTP2-Settings"}},
		"invented":              {{"Upgrade", "clinical/1"}},
		"HTTP/2.0":              {{"Upgrade", "HTTP/2.0"}},
		"TLS":                   {{"Upgrade", "TLS/1.3"}},
		"empty":                 {{"Upgrade", ""}},
		"a list":                {{"Upgrade", "websocket, h2c"}},
		"two lines":             {{"Upgrade", "websocket"}, {"Upgrade", "h2c"}},
		"with a version":        {{"Upgrade", "websocket/13"}},
		"no Upgrade":            {{"Upgrade", "-"}},
		"no Connection":         {{"Connection", "-"}},
		"Connection close":      {{"Connection", "close"}},
		"Connection names it":   {{"Connection", "X-Practice-Id, Websocket"}},
		"no key":                {{"Sec-WebSocket-Key", "-"}},
		"a short key":           {{"Sec-WebSocket-Key", "AAECAwQ="}},
		"a long key":            {{"Sec-WebSocket-Key", key + "AAAA"}},
		"no base64":             {{"Sec-WebSocket-Key", "!!!!!!!!!!!!!!!!!!!!!!=="}},
		"two keys":              {{"Sec-WebSocket-Key", key}, {"Sec-WebSocket-Key", key}},
		"no version":            {{"Sec-WebSocket-Version", "-"}},
		"version 8":             {{"Sec-WebSocket-Version", "8"}},
		"two versions":          {{"Sec-WebSocket-Version", "13"}, {"Sec-WebSocket-Version", "8"}},
		"no Upgrade, no tokens": {{"Upgrade", "-"}, {"Connection", "Upgrade, close"}},
	} {
		t.Run(name, func(t *testing.T) {
			request := handshake(t, change...)
			rig.Refuses(t, gate, request, 400)
			request.Target = "/api/echo"
			rig.Refuses(t, gate, request, 400)
		})
	}
	for _, method := range []string{"POST", "PUT", "OPTIONS", "HEAD", "DELETE", "get"} {
		t.Run(method, func(t *testing.T) {
			request := handshake(t)
			request.Method = method
			rig.Refuses(t, gate, request, 400)
		})
	}
	t.Run("with a body", func(t *testing.T) {
		request := handshake(t)
		request.Body = "GET /billing/accounts HTTP/1.1\r\nHost: x\r\n\r\n"
		rig.Refuses(t, gate, request, 400)
		request.Trailer = []rig.Field{{"X-A", "b"}}
		rig.Refuses(t, gate, request, 400)
	})
	t.Run("HTTP/1.0", func(t *testing.T) {
		before := gate.Hits(t, "")
		c := rig.Open(t, gate, "harbour.localhost")
		c.Write(strings.Replace(handshake(t).Text(), "HTTP/1.1", "HTTP/1.0", 1))
		c.Read("GET").CheckRefusal(t, 400)
		if gate.Hits(t, "") != before {
			t.Error("it reached the backend")
		}
	})
	t.Run("extended CONNECT over h2", func(t *testing.T) {
		request := admin(t, "h2", rig.Field{"sec-websocket-version", "13"}, rig.Field{"origin", "https://" + rig.Host(gate, "harbour")})
		for _, protocol := range []string{"websocket", "connect-udp", "clinical"} {
			request.Pseudo = []rig.Field{
				{":method", "CONNECT"}, {":protocol", protocol}, {":scheme", "https"}, {":path", "/ws"}, {":authority", rig.Host(gate, "harbour")}}
			rig.Refuses(t, gate, request, 0, 400)
		}
	})
}

// TestUpgradeGetsTheWholeDecision is THREATS Z2: no session, a role that may not, a
// stale session: the same as for any request. A good one gets the identity headers.
func TestUpgradeGetsTheWholeDecision(t *testing.T) {
	for name, cookie := range map[string]string{
		"no cookie": "", "a wrong cookie": "AAAA", "another practice's": sessions.Of(t, gate, "acacia", "clinician"),
	} {
		t.Run(name, func(t *testing.T) {
			request := handshake(t)
			request.Cookie = cookie
			rig.Refuses(t, gate, request, 401)
		})
	}
	t.Run("a role that may not", func(t *testing.T) {
		request := handshake(t)
		request.Cookie, request.Target = sessions.Of(t, gate, "harbour", "reviewer"), "/billing/ws"
		rig.Refuses(t, gate, request, 403)
	})
	t.Run("a good one", func(t *testing.T) {
		answer := rig.Send(t, gate, handshake(t))
		if answer.Status != 101 || answer.Header.Get("Sec-Websocket-Accept") == "" {
			t.Fatalf("%d %q, want 101", answer.Status, answer.Text)
		}
		answer.CheckHSTS(t)
	})
	t.Run("tokens beside Upgrade", func(t *testing.T) {
		answer := rig.Send(t, gate, handshake(t, rig.Field{"Connection", "keep-alive, X-Practice-Id, upgrade"}))
		if answer.Status != 101 {
			t.Fatalf("%d %q, want 101", answer.Status, answer.Text)
		}
	})
}
