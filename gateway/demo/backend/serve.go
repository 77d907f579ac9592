package backend

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"time"
)

// Server is a backend that listens. It lives as long as the context given to Serve.
type Server struct {
	url  string
	done chan struct{}
}

// URL is where it listens, such as http://127.0.0.1:9000, without a trailing slash.
func (s *Server) URL() string { return s.url }

// Done is closed when the server no longer listens and its connections are being closed.
func (s *Server) Done() <-chan struct{} { return s.done }

// Serve listens on addr (127.0.0.1:0 picks a port) and serves New(o) until ctx ends; then it closes all connections,
// hijacked ones too. The error says why it cannot listen. There is no write time-out: downloads may take hours.
func Serve(ctx context.Context, addr string, o Options) (*Server, error) {
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("starting the demo backend: %w", err)
	}
	web := &http.Server{
		Handler:           New(o),
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		// Requests inherit ctx, which is how WebSockets, out of http.Server's hands once hijacked, hear of the end.
		BaseContext: func(net.Listener) context.Context { return ctx },
	}
	s := &Server{url: "http://" + listener.Addr().String(), done: make(chan struct{})}
	go func() {
		defer close(s.done)
		stop := context.AfterFunc(ctx, func() { _ = web.Close() })
		defer stop()
		_ = web.Serve(listener) // always http.ErrServerClosed here
	}()
	return s, nil
}
