package connection

import (
	"net"

	"github.com/caddyserver/caddy/v2"
)

// addresses are those that this process listens at, each as long as a listener does.
var addresses = caddy.NewUsagePool()

// address is where connections wait whose handshake is done. When the config is
// reloaded, the old listener and the new one are there together for a moment: what the
// old one has begun, the new one gives to its server.
type address struct {
	ready chan net.Conn
	left  chan struct{} // closed when nobody listens there any more
}

// listenAt counts one more listener at an address, until addresses.Delete.
func listenAt(name string) *address {
	at, _, _ := addresses.LoadOrNew(name, func() (caddy.Destructor, error) { // which cannot fail
		return &address{ready: make(chan net.Conn), left: make(chan struct{})}, nil
	})
	return at.(*address)
}

// Destruct is called when the last listener has gone.
func (a *address) Destruct() error {
	close(a.left)
	return nil
}

// offer waits until somebody takes the connection, or nobody is left to take it.
func (a *address) offer(c net.Conn) {
	select {
	case a.ready <- c:
	case <-a.left:
		_ = c.Close()
	}
}
