package stage

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/pquerna/otp/totp"

	"clinicgate/tests/bench/seed"
)

// Busy is the error of a sign-in that was answered 503 or 429: the gateway has more of them than it takes on.
type Busy struct {
	Status     int
	RetryAfter time.Duration // what the gateway asked for, at least a second
}

func (b Busy) Error() string {
	return fmt.Sprintf("status %d, try again in %v", b.Status, b.RetryAfter)
}

// SignIn goes through the gateway's forms as a browser without scripts does: password, then code. It
// comes from the loopback address given, or from any if that is empty, so that a crowd need not share one address's
// budget. It returns the session cookie as "name=value".
func (s *Stage) SignIn(ctx context.Context, addr, from string, p seed.Person) (string, error) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return "", err
	}
	client := s.Client()
	client.Jar = jar
	client.Transport.(*http.Transport).DialContext = dialLoopback(from)
	defer client.CloseIdleConnections()
	where, err := post(ctx, client, addr, "/.gate/login", url.Values{"email": {p.Email}, "password": {p.Password}, "rd": {"/"}})
	if err != nil {
		return "", fmt.Errorf("sending the password: %w", err)
	}
	if !strings.HasPrefix(where, "/.gate/login/totp") {
		return "", fmt.Errorf("after the password the gateway leads to %q, not to the code", where)
	}
	code, err := totp.GenerateCode(p.Secret, time.Now())
	if err != nil {
		return "", err
	}
	if where, err = post(ctx, client, addr, "/.gate/login/totp", url.Values{"code": {code}}); err != nil {
		return "", fmt.Errorf("sending the code: %w", err)
	}
	home, err := url.Parse(URL(addr, "/"))
	if err != nil {
		return "", err
	}
	for _, c := range jar.Cookies(home) {
		if c.Name == sessionCookie {
			return c.Name + "=" + c.Value, nil
		}
	}
	return "", fmt.Errorf("the gateway gave no session cookie and leads to %q", where)
}

// post sends a form and returns the path that the answer redirects to.
func post(ctx context.Context, client *http.Client, addr, path string, form url.Values) (string, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, URL(addr, path), strings.NewReader(form.Encode()))
	if err != nil {
		return "", err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Origin", URL(addr, ""))
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	r.Header.Set("Sec-Fetch-Mode", "navigate")
	answer, err := client.Do(r)
	if err != nil {
		return "", err
	}
	defer func() { _ = answer.Body.Close() }()
	_, _ = io.Copy(io.Discard, io.LimitReader(answer.Body, 1<<20))
	switch answer.StatusCode {
	case http.StatusSeeOther:
		where, err := answer.Location()
		if err != nil {
			return "", err
		}
		return where.RequestURI(), nil
	case http.StatusServiceUnavailable, http.StatusTooManyRequests:
		seconds, _ := strconv.Atoi(answer.Header.Get("Retry-After"))
		return "", Busy{answer.StatusCode, time.Duration(max(1, seconds)) * time.Second}
	}
	return "", fmt.Errorf("status %d instead of a redirect", answer.StatusCode)
}

// fetch returns the status and at most a megabyte of an answer.
func fetch(client *http.Client, r *http.Request) (int, string, error) {
	answer, err := client.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(answer.Body, 1<<20))
	return answer.StatusCode, string(text), err
}
