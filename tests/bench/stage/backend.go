package stage

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"clinicgate/gateway/loopback"
)

// BodyBytes is the length of the backend's answer: a small fragment or JSON reply, so that the proxy's own work
// shows and not the copying.
const BodyBytes = 1024

// WhoPath answers with practice, e-mail and level as the backend received them, for proof that a front let a
// signed-in request through.
const WhoPath = "/whoami"

var body = strings.Repeat("clinical", BodyBytes/8)

// countPath answers with the number of requests so far, itself apart.
const countPath = "/count"

// Backend is the fast backend. It counts requests, so that what a front did can be told to the request.
type Backend struct {
	*Process
	Kind string // nginx or go

	client *http.Client
	polls  int64 // nginx counts those that ask for the count too
}

// StartBackend starts nginx when it is installed, else a small Go server, which is this program itself run with the
// word "backend".
func (s *Stage) StartBackend(ctx context.Context) (*Backend, error) {
	addr, err := loopback.FreeAddr()
	if err != nil {
		return nil, err
	}
	b := &Backend{Kind: "go", client: &http.Client{Timeout: 10 * time.Second, Transport: new(http.Transport)}}
	program, err := exec.LookPath("nginx")
	if err == nil {
		b.Kind = "nginx"
		conf, err := s.Write("backend/nginx.conf", nginxHead(s.Dir+"/backend", "off")+fmt.Sprintf(`
	server {
		listen %s;
		default_type text/plain;
		location = %s { stub_status; }
		location = %s { return 200 "$http_x_practice_id|$http_x_user_email|$http_x_auth_level"; }
		location / { return 200 "%s"; }
	}
}
`, addr, countPath, WhoPath, body))
		if err != nil {
			return nil, fmt.Errorf("writing the backend's configuration: %w", err)
		}
		b.Process, err = s.Start(ctx, "backend", addr, program, "-c", conf)
		return b, err
	}
	if program, err = os.Executable(); err != nil {
		return nil, fmt.Errorf("finding this program: %w", err)
	}
	b.Process, err = s.Start(ctx, "backend", addr, program, "backend", addr)
	return b, err
}

// Requests is how many requests have arrived so far.
func (b *Backend) Requests(ctx context.Context) (int64, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+b.Addr+countPath, nil)
	if err != nil {
		return 0, err
	}
	status, text, err := fetch(b.client, r)
	if err != nil || status != http.StatusOK {
		return 0, fmt.Errorf("asking the backend for its count: status %d: %w", status, err)
	}
	b.polls++
	fields := strings.Fields(text)
	if b.Kind == "go" {
		return strconv.ParseInt(fields[0], 10, 64)
	}
	// Active connections: 1 / server accepts handled requests / 16 16 12345 / …
	if len(fields) < 10 {
		return 0, fmt.Errorf("asking the backend for its count: %.200q", text)
	}
	n, err := strconv.ParseInt(fields[9], 10, 64)
	return n - b.polls, err
}

// Settled waits until no request arrives any more and returns their number.
func (b *Backend) Settled(ctx context.Context) (int64, error) {
	before, err := b.Requests(ctx)
	for range 100 {
		if err != nil {
			return 0, err
		}
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-time.After(4 * time.Millisecond):
		}
		var now int64
		if now, err = b.Requests(ctx); err == nil && now == before {
			return now, nil
		}
		before = now
	}
	return 0, errors.New("the backend does not come to rest: something else sends requests")
}

// nginxHead begins a configuration whose every path lies in dir; master says whether workers are children.
func nginxHead(dir, master string) string {
	return fmt.Sprintf(`daemon off;
master_process %[2]s;
worker_processes 1;
pid %[1]s/nginx.pid;
error_log stderr warn;
events { worker_connections 4096; }
http {
	access_log off;
	keepalive_requests 1000000000;
	keepalive_timeout 1h;
	client_body_temp_path %[1]s/client;
	proxy_temp_path %[1]s/proxy;
	fastcgi_temp_path %[1]s/fastcgi;
	uwsgi_temp_path %[1]s/uwsgi;
	scgi_temp_path %[1]s/scgi;
`, dir, master)
}

// ServeBackend is the Go backend; it ends with the process.
func ServeBackend(addr string) error {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return fmt.Errorf("starting the backend: %w", err)
	}
	answer := []byte(body)
	var count atomic.Int64
	server := &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header()["Content-Type"] = []string{"text/plain"}
		if r.URL.Path == countPath {
			_, _ = fmt.Fprint(w, count.Load())
			return
		}
		count.Add(1)
		if r.URL.Path == WhoPath {
			_, _ = fmt.Fprintf(w, "%s|%s|%s", r.Header.Get("X-Practice-Id"), r.Header.Get("X-User-Email"), r.Header.Get("X-Auth-Level"))
			return
		}
		_, _ = w.Write(answer)
	})}
	return server.Serve(listener)
}
