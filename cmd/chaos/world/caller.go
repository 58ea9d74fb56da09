package world

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/tenantry/tenantry/rpc/peers"
)

// gossiper returns the name of the node that gossips from an address.
func (w *World) gossiper(from net.Addr) (name string, ok bool) {
	for _, n := range w.Nodes() {
		if from.String() == n.gossip {
			return n.Name, true
		}
	}
	return "", false
}

// dialer returns the name of the node whose process has the other end of a
// connection open. That takes 20 ms where a machine has thousands of connections:
// streams of the gossip are few.
func (w *World) dialer(c net.Conn) (name string, sent []byte, ok bool) {
	w.dialers.Lock()
	defer w.dialers.Unlock()
	inode := socketAt(c.RemoteAddr().String())
	for _, n := range w.Nodes() {
		if inode != "" && n.process.holds(inode) {
			return n.Name, nil, true
		}
	}
	return "", nil, false
}

// maxHead bounds the head of a request that says who asks.
const maxHead = 16 << 10

// peer returns the name of the node that calls, as its first request says: a
// connection is always of one node.
func peer(c net.Conn) (name string, sent []byte, ok bool) {
	mark := []byte("\r\n" + peers.NodeHeader + ": ")
	buffer := make([]byte, maxHead)
	for n := 0; n < len(buffer); {
		more, err := c.Read(buffer[n:])
		if err != nil {
			return "", nil, false
		}
		n += more
		sent = buffer[:n]
		if _, rest, ok := bytes.Cut(sent, mark); ok {
			if name, _, ok := bytes.Cut(rest, []byte("\r\n")); ok {
				return string(name), sent, true
			}
		}
	}
	return "", nil, false
}

// socketAt returns the number of the socket of this machine's that has an address
// of IPv4, as the kernel lists it; empty, if it is closed already.
func socketAt(addr string) (inode string) {
	at, err := netip.ParseAddrPort(addr)
	if err != nil {
		return ""
	}
	ip := at.Addr().Unmap().As4()
	local := fmt.Sprintf("%02X%02X%02X%02X:%04X", ip[3], ip[2], ip[1], ip[0], at.Port())
	table, err := os.Open("/proc/net/tcp")
	if err != nil {
		return ""
	}
	defer func() { _ = table.Close() }()
	const localField, inodeField = 1, 9
	for lines := bufio.NewScanner(table); lines.Scan(); {
		if f := strings.Fields(lines.Text()); len(f) > inodeField && f[localField] == local && f[inodeField] != "0" {
			return f[inodeField]
		}
	}
	return ""
}

// holds says that the process has a socket open.
func (p *process) holds(inode string) bool {
	files, err := filepath.Glob("/proc/" + strconv.FormatInt(p.pid.Load(), 10) + "/fd/*")
	if err != nil {
		return false
	}
	for _, file := range files {
		if target, err := os.Readlink(file); err == nil && target == "socket:["+inode+"]" {
			return true
		}
	}
	return false
}
