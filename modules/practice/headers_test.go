package practice_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"clinicgate/modules/practice"
)

var aliases = map[string]bool{"X-Staff": true}

func TestClientHeadersAreCutToWhatABackendMayBelieve(t *testing.T) {
	kept := http.Header{
		"Accept": {"*/*"}, "Content-Type": {"text/plain"}, "User-Agent": {"x"}, "X-Csrf-Token": {"x"}, "X-Requested-With": {"x"}, "If-None-Match": {"x"},
		"Sec-Fetch-Site": {"x"}, "Origin": {"x"}, "Referer": {"x"}, "Range": {"x"}, "X-Client-Version": {"x"}, "X-Usera": {"x"}, "Xuser": {"x"}, "Dnt": {"1"},
	}
	header := kept.Clone()
	for _, name := range []string{
		"X-Practice-Id", "X-User-Id", "X-User-", "X-Auth-Level", "X-Session-Id", "X-Gate-Assertion", "X-Staff", "X-User-Id-", "X--User-Id", "-X-User-Id",
		"X_User_Id", "X.User.Id", "X~User~Id", "X User Id", "X-User\u00a0Id", "", "-", "X-Forwarded-For", "Forwarded", "X-Real-Ip", "X-Original-Url", "Te",
		"Trailer", "Keep-Alive", "Authorization", "Secure-Session-Response", "Sec-Secure-Session-Id", "Ssl-Client-Cert", "X-Remote-User", "Remote-User", "X-Http-Method-Override",
	} {
		header[name] = []string{"evil"}
	}
	header["Connection"] = []string{"close, X-User-Id, keep-alive"}
	r := &http.Request{Header: header, Trailer: http.Header{"X-User-Id": nil}}
	practice.CleanHeaders(r, aliases)
	kept["Connection"] = []string{"close"}
	if diff := cmp.Diff(kept, r.Header); diff != "" || r.Trailer != nil {
		t.Errorf("trailers %v, headers (-want +got):\n%s", r.Trailer, diff)
	}
}

func FuzzCleanHeaders(f *testing.F) {
	for _, seed := range [][2]string{
		{"X-Practice-Id", "x"}, {"x_user_id", "x"}, {"Connection", "close, X-User-Id"}, {"connection", "UPGRADE"}, {"X-Gate-", ""}, {"X--Auth-Level", "a"}, {"Accept", "a"},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, name, value string) {
		r := &http.Request{Header: http.Header{http.CanonicalHeaderKey(name): {value}}}
		practice.CleanHeaders(r, aliases)
		for left, values := range r.Header {
			folded := strings.Map(func(c rune) rune {
				if c|0x20 >= 'a' && c|0x20 <= 'z' || c >= '0' && c <= '9' {
					return c | 0x20
				}
				return '-'
			}, left)
			for _, reserved := range []string{"x-practice-", "x-user-", "x-auth-", "x-session-", "x-gate-", "x-forwarded-"} {
				if strings.HasPrefix(strings.Trim(folded, "-"), reserved) {
					t.Errorf("%q is left", left)
				}
			}
			if left == "Connection" {
				wantHopOptions(t, values[0])
			}
		}
	})
}

// wantHopOptions fails unless each option of a Connection header is one that the
// door leaves there.
func wantHopOptions(t *testing.T, connection string) {
	t.Helper()
	for option := range strings.SplitSeq(connection, ",") {
		if option = strings.TrimSpace(option); option != "" && option != "close" && option != "Upgrade" {
			t.Errorf("Connection: %q is left", connection)
		}
	}
}
