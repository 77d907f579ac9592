// Package loopback finds addresses for servers that tests and benchmarks start.
package loopback

import (
	"crypto/rand"
	"errors"
	"math/big"
	"net"
	"strconv"
)

// The ports that are looked at lie below those that Linux gives to outgoing connections (ip_local_port_range, 32768 and
// up): between the look and the server's start, and while a server is away, no connection of another test can take one.
const (
	first = 10_000
	last  = 32_767
)

// FreeAddr is an address of the loopback interface, as HOST:PORT, that nobody listens on over TCP.
func FreeAddr() (string, error) {
	for range 100 {
		n, err := rand.Int(rand.Reader, big.NewInt(last-first+1))
		if err != nil {
			return "", err
		}
		addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(first+int(n.Int64())))
		if l, err := net.Listen("tcp", addr); err == nil {
			return addr, l.Close()
		}
	}
	return "", errors.New("no port of the loopback interface is free")
}
