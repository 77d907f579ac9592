package practice_test

import (
	"net/url"
	"strings"
	"testing"

	"clinicgate/modules/practice"
)

func TestTargetIsOnePathOrNone(t *testing.T) {
	for target, want := range map[string]string{
		"/": "/", "/a?b=/../c": "/a", "/%61?x": "/a", "/a??": "/a", "/a?": "/a",
		"*": "", "": "", "?a": "", "/a#b": "", "/a?b#c": "", "/a?b\x00": "", "/a?b\r\nc": "", "https://a/b": "", "a": "", "//a": "", "/a/../b": "",
	} {
		got, err := practice.Target(target)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q: got %q, %v; want %q", target, got, err, want)
		}
	}
}

// FuzzTarget: what is accepted is what net/http, and so the transport, reads of it.
func FuzzTarget(f *testing.F) {
	for _, seed := range []string{"/", "/a?b", "/%61", "/%2e%2e/", "/a%2fb", "//", "/a;b", "/{x}", "/%ff", "/a?#"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, target string) {
		path, err := practice.Target(target)
		if err != nil {
			return
		}
		read, err := url.ParseRequestURI(target)
		if err != nil || read.Path != path || read.Host != "" {
			t.Errorf("%q: rules see %q, the transport sends %v (%v)", target, path, read, err)
		}
		if strings.Contains(path, "..") && strings.Contains("/"+path+"/", "/../") {
			t.Errorf("%q climbs", path)
		}
	})
}
