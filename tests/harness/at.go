package harness

import "crypto/x509"

// At is a gateway, or a balancer before several, that somebody else has started: browsers and
// connections go to addr and trust roots. It cannot be stopped, and has no state folder.
func At(addr string, roots *x509.CertPool, practices ...Practice) *Gateway {
	return &Gateway{Ready: true, Addr: addr, Practices: practices, roots: roots}
}
