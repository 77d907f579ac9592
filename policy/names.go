package policy

import (
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// host wants a lower-case DNS name, the only form in which a host is looked up (THREATS T2).
func (c *checker) host(field, value string) {
	switch reason, remedy := hostFault(value); {
	case reason != "":
		c.add(field, quote(value)+" "+reason, remedy)
	}
}

// hostFault says what keeps s from being a lower-case DNS name; empty when nothing does.
func hostFault(s string) (reason, remedy string) {
	lower := strings.ToLower(s)
	_, addrErr := netip.ParseAddr(strings.Trim(s, "[]"))
	switch {
	case s == "":
		return "is empty", "write a DNS name such as clinic.example.org"
	case len(s) > 253:
		return "is longer than 253 bytes", "write a DNS name"
	case addrErr == nil:
		return "is an address", "write a DNS name: certificates and sign-in are tied to names"
	case strings.Contains(s, "*"):
		return "is a wildcard", "name each host"
	case strings.Contains(s, "://"):
		return "is a URL", "write only the host"
	case strings.Contains(s, ":"):
		return "names a port", "write only the host: " + s[:strings.Index(s, ":")]
	case strings.HasSuffix(s, "."):
		return "ends in a dot", "write " + strings.TrimRight(s, ".")
	case strings.ContainsFunc(s, func(r rune) bool { return r >= 0x80 }):
		return "is not ASCII", "write its punycode form, which begins with xn--"
	case lower != s:
		return "is not in lower case", "write " + lower
	case !isDNSName(s):
		return "is not a DNS name", "write labels of a to z, 0 to 9 and inner hyphens, joined by dots"
	}
	return "", ""
}

// isDNSName also refuses a last label that browsers read as part of an IPv4 address (WHATWG URL, "ends in a number").
func isDNSName(s string) bool {
	labels := strings.Split(s, ".")
	for _, label := range labels {
		if len(label) > 63 || !isLabel(label) {
			return false
		}
	}
	last := labels[len(labels)-1]
	return last[0] < '0' || last[0] > '9'
}

// upstream wants host:port of a backend.
func (c *checker) upstream(field, value string) {
	host, port, err := net.SplitHostPort(value)
	if err != nil || strings.Contains(value, "/") {
		c.add(field, quote(value)+" is not host:port", "write it as 10.0.0.5:8080 or backend.internal:8080, without a scheme or a path")
		return
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 || strconv.FormatUint(n, 10) != port {
		c.add(field, quote(value)+" has no port from 1 to 65535", "write a number after the colon")
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		if reason, remedy := hostFault(host); reason != "" {
			c.add(field, quote(host)+" "+reason, remedy)
		}
		return
	}
	if addr = addr.Unmap(); addr.Zone() != "" || addr.IsUnspecified() || addr.IsMulticast() || addr.IsLinkLocalUnicast() {
		c.add(field, quote(host)+" is not the address of a backend",
			"write a unicast address; link-local ones are where clouds serve their credentials")
	}
}

// network wants a CIDR whose host bits are zero, so that what is written is what is meant.
func (c *checker) network(field, value string) {
	prefix, err := netip.ParsePrefix(value)
	if err != nil {
		remedy := "write it as 203.0.113.0/24"
		if addr, err := netip.ParseAddr(value); err == nil && addr.Zone() == "" {
			remedy = "write " + netip.PrefixFrom(addr, addr.BitLen()).String()
		}
		c.add(field, quote(value)+" is not a network", remedy)
		return
	}
	switch {
	case prefix.Addr().Is4In6():
		c.add(field, quote(value)+" is an IPv4 network in IPv6 form", "write it as IPv4")
	case prefix.Masked() != prefix:
		c.add(field, quote(value)+" has bits beyond its length", "write "+prefix.Masked().String())
	}
}

// email wants an address in the one form in which accounts are kept: lower case, one "@", a DNS name behind it.
func (c *checker) email(field, value string) {
	local, domain, ok := strings.Cut(value, "@")
	printable := !strings.ContainsFunc(local, func(r rune) bool { return r <= ' ' || r >= 0x7f || strings.ContainsRune(`"(),:;<>@[\]`, r) })
	if !ok || local == "" || len(local) > 64 || len(value) > 254 || !printable || strings.ToLower(local) != local {
		c.add(field, quote(value)+" is not an e-mail address in lower case", "write it as name@clinic.example.org")
		return
	}
	if reason, remedy := hostFault(domain); reason != "" {
		c.add(field, quote(domain)+" "+reason, remedy)
	}
}

// role wants a name that can stand in a comma-separated header.
func (c *checker) role(field, value string) {
	ok := value != "" && len(value) <= 40 && value[0] >= 'a' && value[0] <= 'z' &&
		strings.Trim(value, "abcdefghijklmnopqrstuvwxyz0123456789_") == ""
	if !ok {
		c.add(field, quote(value)+" is not a role name", "write 1 to 40 of a to z, 0 to 9 and _, a letter first")
	}
}
