package redis_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"clinicgate/gateway/redis"
)

func TestConnectTakesOnlyPlainAddresses(t *testing.T) {
	noPEM := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(noPEM, []byte("nothing"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		options redis.Options
		want    string // what the error says; "" = none
	}{
		"here":                    {redis.Options{URL: "redis://127.0.0.1:6379/1"}, ""},
		"port left out":           {redis.Options{URL: "rediss://redis.example"}, ""},
		"nothing":                 {redis.Options{}, "redis.url"},
		"another scheme":          {redis.Options{URL: "http://redis.example"}, "redis.url"},
		"no host":                 {redis.Options{URL: "redis:///0"}, "redis.url"},
		"password in it":          {redis.Options{URL: "rediss://u:p@redis.example"}, "redis.url"},
		"verifies nothing":        {redis.Options{URL: "rediss://redis.example?skip_verify=true"}, "redis.url"},
		"database with no number": {redis.Options{URL: "redis://127.0.0.1/a"}, "redis.url"},
		"ca without TLS":          {redis.Options{URL: "redis://127.0.0.1", CA: noPEM}, "redis.ca"},
		"ca missing":              {redis.Options{URL: "rediss://redis.example", CA: noPEM + ".not"}, "redis.ca"},
		"ca that is none":         {redis.Options{URL: "rediss://redis.example", CA: noPEM}, "redis.ca"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c, err := redis.Connect(tt.options)
			if c != nil {
				defer c.Close()
			}
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q in it", err, tt.want)
			}
		})
	}
}
