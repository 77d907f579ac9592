package stage

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"time"
)

// BodyBytes is the length of the backend's answer: a small fragment or JSON reply, so that the proxy's own work
// shows and not the copying.
const BodyBytes = 1024

// WhoPath answers with practice, e-mail and level as the backend received them, for proof that a front let a
// signed-in request through.
const WhoPath = "/whoami"

var body = strings.Repeat("clinical", BodyBytes/8)

// StartBackend starts the fast backend: nginx when it is installed, else a small Go server, which is this program
// itself run with the word "backend". It says which it is.
func (s *Stage) StartBackend(ctx context.Context) (p *Process, kind string, err error) {
	addr, err := freeAddr()
	if err != nil {
		return nil, "", err
	}
	if nginx, err := exec.LookPath("nginx"); err == nil {
		conf, err := s.write("backend/nginx.conf", nginxHead(s.Dir+"/backend", "off")+fmt.Sprintf(`
	server {
		listen %s;
		default_type text/plain;
		location = %s { return 200 "$http_x_practice_id|$http_x_user_email|$http_x_auth_level"; }
		location / { return 200 "%s"; }
	}
}
`, addr, WhoPath, body))
		if err != nil {
			return nil, "", fmt.Errorf("writing the backend's configuration: %w", err)
		}
		p, err := s.Start(ctx, "backend", addr, nginx, "-c", conf)
		return p, "nginx", err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, "", fmt.Errorf("finding this program: %w", err)
	}
	p, err = s.Start(ctx, "backend", addr, self, "backend", addr)
	return p, "go", err
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
	server := &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header()["Content-Type"] = []string{"text/plain"}
		if r.URL.Path == WhoPath {
			_, _ = fmt.Fprintf(w, "%s|%s|%s", r.Header.Get("X-Practice-Id"), r.Header.Get("X-User-Email"), r.Header.Get("X-Auth-Level"))
			return
		}
		_, _ = w.Write(answer)
	})}
	return server.Serve(listener)
}
