package forward_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"clinicgate/modules/forward"
)

func TestBackendSpeaksOnlyForItself(t *testing.T) {
	h := http.Header{
		"Set-Cookie": {
			"view=a; Path=/", "__Host-gate=x", "__HOST-gate-flow=x", "  __Host-gate=x", "=__Host-gate=x", `"__Host-gate"=x`, strings.Repeat(" ", 99) + "__Host-gate-device=x", "b=2",
		},
		"Strict-Transport-Security": {"max-age=0"}, "Clear-Site-Data": {`"*"`}, "Alt-Svc": {"h3"}, "Secure-Session-Registration": {"x"}, "X-Gate-Assertion": {"x"},
		"X-Practice-Id": {"x"}, "Proxy-Authenticate": {"x"}, "Content-Type": {"text/html"}, "X-Request-Id": {"own"}, "X-Frame-Options": {"DENY"},
	}
	forward.CleanAnswer(h, nil)
	want := http.Header{
		"Set-Cookie": {"view=a; Path=/", "b=2"}, "Content-Type": {"text/html"}, "X-Request-Id": {"own"}, "X-Frame-Options": {"DENY"},
	}
	if diff := cmp.Diff(want, h); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	h = http.Header{"Remote-User": {"x"}, "X-Forwarded-User": {"x"}}
	forward.CleanAnswer(h, map[string]bool{"Remote-User": true})
	if diff := cmp.Diff(http.Header{"X-Forwarded-User": {"x"}}, h); diff != "" {
		t.Errorf("the platform's own name (-want +got):\n%s", diff)
	}
	h = http.Header{"Set-Cookie": {"__Host-gate=x"}}
	forward.CleanAnswer(h, nil)
	if len(h) != 0 {
		t.Errorf("%v is left", h)
	}
}

func TestOnlyFinalStatusesAreAnswers(t *testing.T) {
	for status, want := range map[int]bool{-1: false, 0: false, 99: false, 100: false, 101: false, 103: false, 199: false, 200: true, 304: true, 599: true, 600: false, 999: false} {
		if got := forward.IsFinal(status); got != want {
			t.Errorf("%d: got %t, want %t", status, got, want)
		}
	}
}

// TestTrailersThatComeLater: net/http puts them into the response that it made when
// the body has ended; what reverse_proxy holds must be another one.
func TestTrailersThatComeLater(t *testing.T) {
	res := &http.Response{ContentLength: -1, Trailer: http.Header{"Strict-Transport-Security": nil}}
	got := forward.WithoutTrailers(res)
	res.Trailer = http.Header{"Strict-Transport-Security": {"max-age=0"}}
	if got.Trailer != nil {
		t.Errorf("trailers %v", got.Trailer)
	}
	if res := (&http.Response{ContentLength: 5}); forward.WithoutTrailers(res) != res {
		t.Error("an answer of known length was copied")
	}
}

func TestBackendAsksForAStepUp(t *testing.T) {
	const code = `error="insufficient_user_authentication"`
	for name, c := range map[string]struct {
		status int
		lines  []string
		asked  bool
		level  string
		age    int
	}{
		"plain":               {401, []string{"Bearer " + code}, true, "aal2", 0},
		"level and age":       {401, []string{"Bearer " + code + `, acr_values="aal2-pr", max_age="300"`}, true, "aal2-pr", 300},
		"unquoted":            {401, []string{"Bearer error=insufficient_user_authentication, max_age=60"}, true, "aal2", 60},
		"names in upper case": {401, []string{`Bearer ERROR="insufficient_user_authentication", MAX_AGE="60"`}, true, "aal2", 60},
		"second line":         {401, []string{"Basic realm=x", "Bearer " + code}, true, "aal2", 0},
		"any of a list":       {401, []string{"Bearer " + code + `, acr_values="aal2-pr loa9 aal2"`}, true, "aal2", 0},
		"password again":      {401, []string{"Bearer " + code + `, acr_values="aal1", max_age="60"`}, true, "aal1", 60},
		"level nobody knows":  {401, []string{"Bearer " + code + `, acr_values="loa9"`}, true, "aal2", 0},
		"age no number":       {401, []string{"Bearer " + code + `, max_age="x"`}, true, "aal2", 0},
		"negative age":        {401, []string{"Bearer " + code + `, max_age="-5"`}, true, "aal2", 0},
		"no level by name":    {401, []string{"Bearer " + code + `, acr_values="none"`}, true, "aal2", 0},
		"age beyond an int":   {401, []string{"Bearer " + code + `, max_age="99999999999999999999"`}, true, "aal2", 0},
		"another error":       {401, []string{`Bearer error="invalid_token"`}, false, "none", 0},
		"code in a text":      {401, []string{`Bearer error_description="insufficient_user_authentication"`}, false, "none", 0},
		"403":                 {403, []string{"Bearer " + code}, false, "none", 0},
		"200":                 {200, []string{"Bearer " + code}, false, "none", 0},
		"no challenge":        {401, nil, false, "none", 0},
		"scheme alone":        {401, []string{"Bearer"}, false, "none", 0},
		"empty":               {401, []string{""}, false, "none", 0},
	} {
		t.Run(name, func(t *testing.T) {
			asked, level, age := forward.StepUp(&http.Response{StatusCode: c.status, Header: http.Header{"Www-Authenticate": c.lines}})
			if asked != c.asked || asked && (level != c.level || age != c.age) {
				t.Errorf("got %t %q %d, want %t %q %d", asked, level, age, c.asked, c.level, c.age)
			}
		})
	}
}

func FuzzStepUpChallenge(f *testing.F) {
	for _, seed := range []string{`Bearer error="insufficient_user_authentication", acr_values="aal2", max_age="5"`, "Bearer", `Bearer error="x\", error="insufficient_user_authentication"`, ",,=,", " ", "Basic realm=\"a,b\""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		asked, level, age := forward.StepUp(&http.Response{StatusCode: 401, Header: http.Header{"Www-Authenticate": {value}}})
		if asked && (age < 0 || level != "aal1" && level != "aal2" && level != "aal2-pr") {
			t.Errorf("%q asks for level %q and an age of %d", value, level, age)
		}
		if asked && !strings.Contains(value, "insufficient_user_authentication") {
			t.Errorf("%q asks for nothing", value)
		}
	})
}

func FuzzCleanAnswer(f *testing.F) {
	for _, seed := range []string{"a=1", "__Host-gate=x", "=__host-gate", "\x00__Host-gate=x", strings.Repeat(" ", 70) + "__Host-gate=x"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, cookie string) {
		h := http.Header{"Set-Cookie": {cookie}}
		forward.CleanAnswer(h, nil)
		name, _, _ := strings.Cut(h.Get("Set-Cookie"), "=")
		if strings.HasPrefix(strings.ToLower(strings.TrimSpace(name)), "__host-gate") {
			t.Errorf("%q was left", cookie)
		}
	})
}

func FuzzHeaderSafe(f *testing.F) {
	f.Add("Dr Chen\r\nX-User-Roles: practice_admin")
	f.Fuzz(func(t *testing.T, name string) {
		if got := forward.HeaderSafe(name); strings.ContainsAny(got, "\r\n\x00\x7f") {
			t.Errorf("%q became %q", name, got)
		}
	})
}
