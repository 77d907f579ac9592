package limit

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"net/netip"
	"strconv"
)

// key joins parts into a store key. Each part is preceded by its length, so
// that no choice of account name or practice can make two keys meet, and the
// whole is hashed: keys are short whatever was typed, and no e-mail address
// reaches the store.
func key(parts ...string) string {
	var buf [256]byte
	b := buf[:0]
	for _, p := range parts {
		b = binary.AppendUvarint(b, uint64(len(p)))
		b = append(b, p...)
	}
	sum := sha256.Sum256(b)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// accountKey does not hold the address: an account's budget is one, wherever
// the attempts come from (THREATS F2).
func accountKey(a Attempt) string {
	return key("account", a.Kind.String(), strconv.FormatBool(a.Device), string(a.Practice), a.Account)
}

// addressKey is practice-free on purpose: one address that tries its way
// through many practices has one budget.
func addressKey(counter string) func(Attempt) string {
	return func(a Attempt) string {
		return key(counter, a.Kind.String(), strconv.FormatBool(a.Device), network(a.Addr))
	}
}

func practiceKey(a Attempt) string {
	return key("practice", a.Kind.String(), strconv.FormatBool(a.Device), string(a.Practice))
}

func gatewayKey(a Attempt) string {
	return key("gateway", a.Kind.String(), strconv.FormatBool(a.Device))
}

// network is what counts as one address: IPv4 whole, IPv6 its /64, because a
// single customer has at least that much (RFC 6177). An IPv4 address mapped
// into IPv6 is the IPv4 address, and Prefix drops a zone, so that neither gives
// a second budget.
func network(addr netip.Addr) string {
	addr = addr.Unmap()
	if addr.Is4() {
		return addr.String()
	}
	p, err := addr.Prefix(64)
	if err != nil {
		return "invalid"
	}
	return p.String()
}
