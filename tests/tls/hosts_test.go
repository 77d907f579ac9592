package tls_test

import (
	"context"
	"crypto/tls"
	"net/http"
	"strings"
	"testing"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

// TestSignedInOverEveryProtocol: h1, h2 and h3 serve the same session.
func TestSignedInOverEveryProtocol(t *testing.T) {
	i := served(t)
	session := i.signIn(t, north)
	for protocol, major := range map[string]int{"h1": 1, "h2": 2, "h3": 3} {
		req := request(t, http.MethodGet, north, "/records")
		req.AddCookie(session)
		res := do(t, i.client(t, protocol, ""), req)
		if want := "backend practice=north user=reception@" + north + " proto=https"; res.text != want || res.ProtoMajor != major {
			t.Errorf("%s: HTTP/%d %s %q, want %q", protocol, res.ProtoMajor, res.Status, res.text, want)
		}
	}
}

// TestConnectionOfOnePracticeRequestOfAnother (THREATS T1): 421 over every protocol,
// and the session that comes with it is not even looked at.
func TestConnectionOfOnePracticeRequestOfAnother(t *testing.T) {
	i := served(t)
	session := i.signIn(t, north)
	for _, protocol := range []string{"h1", "h2", "h3"} {
		client := i.client(t, protocol, south)
		for _, host := range []string{north, strings.ToUpper(north), stranger, "127.0.0.1"} {
			req := request(t, http.MethodGet, south, "/")
			req.Host = host
			req.AddCookie(session)
			if res := do(t, client, req); res.StatusCode != http.StatusMisdirectedRequest || strings.Contains(res.text, "backend") || len(res.Cookies()) > 0 {
				t.Errorf("%s: SNI %s, host %s: %s, cookies %v: %.100s", protocol, south, host, res.Status, res.Cookies(), res.text)
			}
		}
		req := request(t, http.MethodGet, south, "/public/json")
		if res := do(t, client, req); res.StatusCode != http.StatusOK {
			t.Errorf("%s: the connection's own practice: %s", protocol, res.Status)
		}
	}
}

// TestNoEarlyData: a resumed QUIC connection sends its first request only after the
// handshake, so that nobody can replay it (RFC 8446 section 8). TLS over TCP has no
// early data at all.
func TestNoEarlyData(t *testing.T) {
	i := served(t)
	tickets := &sessions{arrived: make(chan struct{}, 8), LRU: tls.NewLRUClientSessionCache(4)}
	config := i.trust(north, http3.NextProtoH3)
	config.ClientSessionCache = tickets
	ctx, cancel := context.WithTimeout(t.Context(), wait)
	defer cancel()
	connect := func() *quic.Conn {
		conn, err := quic.DialAddrEarly(ctx, i.https, config, &quic.Config{Allow0RTT: false})
		if err != nil {
			t.Fatal(err)
		}
		return conn
	}
	first := connect()
	select {
	case <-tickets.arrived:
	case <-ctx.Done():
		t.Fatal("the gateway gave no ticket")
	}
	_ = first.CloseWithError(0, "")
	second := connect()
	defer second.CloseWithError(0, "")
	select {
	case <-second.HandshakeComplete():
	case <-ctx.Done():
		t.Fatal("no second handshake")
	}
	state := second.ConnectionState()
	if !state.TLS.DidResume {
		t.Error("the second connection was not resumed: nothing was tried")
	}
	if state.Used0RTT {
		t.Error("early data was taken")
	}
}

// sessions tells when a ticket has come.
type sessions struct {
	LRU     tls.ClientSessionCache
	arrived chan struct{}
}

func (s *sessions) Get(key string) (*tls.ClientSessionState, bool) { return s.LRU.Get(key) }

func (s *sessions) Put(key string, state *tls.ClientSessionState) {
	s.LRU.Put(key, state)
	if state != nil {
		s.arrived <- struct{}{}
	}
}
