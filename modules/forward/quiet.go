package forward

import (
	"net/http"
	"strings"
)

// hideFromLogger leaves in req, of which a copy is sent, only what reverse_proxy still
// needs of it. It encodes the whole of req for its logger on every request, whether
// anything is logged or not: that costs a tenth of the proxy's time and would put
// patients' addresses into logs (DESIGN section 9).
func hideFromLogger(req *http.Request) {
	req.Header = keepUpgrade(req.Header)
	req.RequestURI = ""
	req.TLS = nil
}

// keepUpgrade keeps the two headers by which reverse_proxy recognises a WebSocket.
func keepUpgrade(h http.Header) http.Header {
	upgrade, present := h["Upgrade"]
	if !present {
		return nil
	}
	return http.Header{"Upgrade": upgrade, "Connection": h["Connection"]}
}

// ofTheHop are the headers that reverse_proxy reads in a backend's answer, and those
// of the connection to the backend, which it drops (RFC 9110 section 7.6.1).
var ofTheHop = map[string]bool{
	"Content-Type": true, "Incremental": true, "Server": true,
	"Connection": true, "Upgrade": true, "Keep-Alive": true, "Proxy-Connection": true, "Proxy-Authorization": true,
	"Te": true, "Trailer": true, "Transfer-Encoding": true,
}

// handOver puts the headers of a backend's answer straight into the answer that the
// browser gets. reverse_proxy does no more than that with them, but first writes them
// into its log at level DEBUG, a Location with what somebody searched for among them
// (THREATS A5, TestNoLogTellsWhatWasAskedFor), and copies each into a placeholder that
// nobody reads. So what a JSON config wants of reverse_proxy by an answer's headers,
// such as handle_response, does not happen.
func handOver(res *http.Response, answer http.Header) {
	if answer == nil {
		return // no door, no exchange
	}
	for _, names := range res.Header["Connection"] {
		for name := range strings.SplitSeq(names, ",") {
			if name = http.CanonicalHeaderKey(strings.TrimSpace(name)); !ofTheHop[name] {
				delete(res.Header, name)
			}
		}
	}
	for name, values := range res.Header {
		if ofTheHop[name] {
			continue
		}
		if before := answer[name]; before != nil {
			values = append(before[:len(before):len(before)], values...)
		}
		answer[name] = values
		delete(res.Header, name)
	}
}
