package cluster_test

import (
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// balancer passes TCP on to the nodes in turn, with the client's address by the PROXY protocol. A
// node that takes no connection is passed over for half a second.
type balancer struct {
	addr  string
	turn  atomic.Int64
	nodes []string
	down  []atomic.Int64 // until when, Unix nanoseconds
}

func startBalancer(t testing.TB, nodes ...string) *balancer {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &balancer{addr: listener.Addr().String(), nodes: nodes, down: make([]atomic.Int64, len(nodes))}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			go b.serve(client)
		}
	}()
	return b
}

func (b *balancer) serve(client net.Conn) {
	defer client.Close()
	node := b.dial()
	if node == nil {
		return
	}
	defer node.Close()
	from, to := client.RemoteAddr().(*net.TCPAddr), client.LocalAddr().(*net.TCPAddr)
	if _, err := fmt.Fprintf(node, "PROXY TCP4 %s %s %d %d\r\n", from.IP, to.IP, from.Port, to.Port); err != nil {
		return
	}
	var both sync.WaitGroup
	for _, way := range [][2]net.Conn{{client, node}, {node, client}} {
		both.Go(func() {
			_, _ = io.Copy(way[0], way[1])
			_ = client.Close()
			_ = node.Close()
		})
	}
	both.Wait()
}

// dial connects to the next node that takes connections, nil if there is none.
func (b *balancer) dial() net.Conn {
	n := int64(len(b.nodes))
	turn := b.turn.Add(1)
	for try := range 2 * n {
		i := (turn + try) % n
		if try < n && time.Now().UnixNano() < b.down[i].Load() {
			continue
		}
		conn, err := net.DialTimeout("tcp", b.nodes[i], time.Second)
		if err == nil {
			return conn
		}
		b.down[i].Store(time.Now().Add(500 * time.Millisecond).UnixNano())
	}
	return nil
}
