package backend

import (
	"bufio"
	"context"
	"crypto/sha1" // RFC 6455 section 4.2.2 asks for SHA-1; nothing secret depends on it
	"encoding/base64"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

const (
	// websocketGUID is the fixed text of RFC 6455 section 1.3.
	websocketGUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
	// websocketIdle is how long a silent client is kept; websocketWrite how long one write may take.
	websocketIdle  = 30 * time.Minute
	websocketWrite = 10 * time.Second
)

// serveWebSocket upgrades (RFC 6455) and echoes every message until the client closes or the server stops.
func (s *server) serveWebSocket(w http.ResponseWriter, r *http.Request) {
	accept, problem := websocketAccept(r)
	if problem != "" {
		w.Header().Set("Upgrade", "websocket")
		w.Header().Set("Sec-WebSocket-Version", "13")
		answerError(w, http.StatusUpgradeRequired, problem)
		return
	}
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		answerError(w, http.StatusHTTPVersionNotSupported, "websocket: needs HTTP/1.1")
		return
	}
	defer func() { _ = conn.Close() }()
	stop := context.AfterFunc(r.Context(), func() { _ = conn.Close() })
	defer stop()
	head := "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Accept: " + accept + "\r\n\r\n"
	_ = conn.SetDeadline(time.Now().Add(websocketWrite))
	if _, err := io.WriteString(conn, head); err != nil {
		return
	}
	echoMessages(conn, buffered.Reader)
}

// websocketAccept checks the opening handshake (RFC 6455 section 4.2.1) and returns Sec-WebSocket-Accept, or what
// is wrong with it.
func websocketAccept(r *http.Request) (accept, problem string) {
	key := r.Header.Get("Sec-WebSocket-Key")
	decoded, err := base64.StdEncoding.DecodeString(key)
	switch {
	case r.Method != http.MethodGet:
		return "", "websocket: only GET upgrades"
	case !strings.EqualFold(r.Header.Get("Upgrade"), "websocket"):
		return "", "websocket: Upgrade: websocket is missing"
	case !hasToken(r.Header.Values("Connection"), "upgrade"):
		return "", "websocket: Connection: Upgrade is missing"
	case r.Header.Get("Sec-WebSocket-Version") != "13":
		return "", "websocket: only version 13"
	case err != nil || len(decoded) != 16:
		return "", "websocket: Sec-WebSocket-Key is not 16 bytes"
	}
	sum := sha1.Sum([]byte(key + websocketGUID))
	return base64.StdEncoding.EncodeToString(sum[:]), ""
}

// hasToken looks for a token in comma separated header values, in any letter case.
func hasToken(values []string, token string) bool {
	for _, v := range values {
		for part := range strings.SplitSeq(v, ",") {
			if strings.EqualFold(strings.TrimSpace(part), token) {
				return true
			}
		}
	}
	return false
}

// echoMessages runs the connection until it ends; a protocol error is answered with its close code.
func echoMessages(conn net.Conn, in *bufio.Reader) {
	messages := messageReader{in: in, pong: func(payload []byte) error { return send(conn, opPong, payload) }}
	for {
		_ = conn.SetReadDeadline(time.Now().Add(websocketIdle))
		op, payload, err := messages.next()
		var closing closeError
		switch {
		case errors.As(err, &closing):
			_ = send(conn, opClose, closing.payload())
			return
		case err != nil:
			return
		}
		if send(conn, op, payload) != nil {
			return
		}
	}
}

// send writes one unfragmented, unmasked frame.
func send(conn net.Conn, op opcode, payload []byte) error {
	_ = conn.SetWriteDeadline(time.Now().Add(websocketWrite))
	_, err := conn.Write(appendFrame(nil, op, payload))
	return err
}
