package connection

import (
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// handshaking is a connection in the middle of its handshake: read is closed when its
// Read has returned.
type handshaking struct {
	*turnConn
	peer net.Conn
	read chan struct{}
}

func handshake(of turns) *handshaking {
	under, peer := net.Pipe()
	h := &handshaking{&turnConn{Conn: under}, peer, make(chan struct{})}
	h.begin(of)
	return h
}

// hear makes the peer say something and the connection read it.
func (h *handshaking) hear() {
	go func() { _, _ = h.peer.Write([]byte("hello")) }()
	go func() {
		_, _ = h.Read(make([]byte, 5))
		close(h.read)
	}()
	synctest.Wait()
}

func (h *handshaking) has(t *testing.T, want bool) {
	t.Helper()
	synctest.Wait()
	select {
	case <-h.read:
		if !want {
			t.Error("it computes beside the other")
		}
	default:
		if want {
			t.Error("it still waits for its turn")
		}
	}
}

// TestCrowdOfHandshakesTakesTurns is THREATS L5: with one turn, the second handshake
// computes when the first waits for its peer, has answered, has ended, or takes too long.
func TestCrowdOfHandshakesTakesTurns(t *testing.T) {
	for name, ends := range map[string]func(h *handshaking){
		"reads on": func(h *handshaking) { go func() { _, _ = h.Read(make([]byte, 1)) }() },
		"answers": func(h *handshaking) {
			go func() { _, _ = h.peer.Read(make([]byte, 5)) }()
			_, _ = h.Write([]byte("hello"))
		},
		"is done":                   func(h *handshaking) { h.finish() },
		"waits for its certificate": func(*handshaking) { time.Sleep(lease) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				of := make(turns, 1)
				first, second := handshake(of), handshake(of)
				defer func() { _, _ = first.peer.Close(), second.peer.Close() }()
				first.hear()
				second.hear()
				first.has(t, true)
				second.has(t, false)
				ends(first)
				second.has(t, true)
				second.finish()
				first.finish()
				synctest.Wait()
				if len(of) != 0 {
					t.Errorf("%d turns were never given back", len(of))
				}
			})
		})
	}
}

// TestSilentPeerHasNoTurn: whoever connects and says nothing keeps nobody waiting.
func TestSilentPeerHasNoTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		of := make(turns, 1)
		silent, other := handshake(of), handshake(of)
		defer func() { _, _ = silent.peer.Close(), other.peer.Close() }()
		go func() { _, _ = silent.Read(make([]byte, 5)) }()
		synctest.Wait()
		other.hear()
		other.has(t, true)
		other.finish()
	})
}
