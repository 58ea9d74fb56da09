package main

import (
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
)

// basePort returns the first of the free ports of a demo of three nodes, below those that
// the system gives to connections: the demo's own would take them.
func basePort(t *testing.T) string {
	t.Helper()
	for range 100 {
		if base := 10_000 + rand.IntN(20_000); free(base, 3*10) {
			return strconv.Itoa(base)
		}
	}
	t.Fatal("no free ports")
	return ""
}

func free(first, n int) bool {
	for port := first; port < first+n; port++ {
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			return false
		}
		_ = l.Close()
	}
	return true
}

// printed returns the indented lines of a text that start with a word.
func printed(text, word string) (lines []string) {
	for line := range strings.Lines(text) {
		if line, ok := strings.CutPrefix(line, "  "+word+" "); ok {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}

// curl does what curl would, which need not be installed.
func curl(t *testing.T, line string) (status int, body string) {
	t.Helper()
	method, header, data, url := http.MethodGet, "", "", ""
	for words := shellWords(line); len(words) > 0; {
		word := words[0]
		words = words[1:]
		switch target, ok := map[string]*string{"-X": &method, "-H": &header, "-d": &data}[word]; {
		case ok:
			*target, words = words[0], words[1:]
		case word != "-i":
			url = word
		}
	}
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	if name, value, ok := strings.Cut(header, ": "); ok {
		req.Header.Set(name, value)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(text)
}

// shellWords splits at spaces that are not within single quotes.
func shellWords(line string) (words []string) {
	for i, part := range strings.Split(line, "'") {
		if i%2 == 1 {
			words = append(words, part)
		} else {
			words = append(words, strings.Fields(part)...)
		}
	}
	return words
}

// What the demo prints works as it is printed.
func TestDemo(t *testing.T) {
	base := basePort(t)
	demo := start(t, "demo", "--base-port", base, "--tenants", "3", "--latency", "1ms")
	until(t, "the demo is ready", func() bool { return strings.Contains(demo.out.String(), "Ctrl-C ends the demo.") })
	server := "http://127.0.0.1:" + base
	check := func() string { return tenantry("", "check", "123", "crm.leads.create", "--server", server).out }

	lines := printed(demo.out.String(), "curl")
	if len(lines) != 4 {
		t.Fatalf("%d lines with curl in\n%s", len(lines), demo.out.String())
	}
	for i, want := range []string{`"canAfford":true`, `"userId":"user-1"`, `"permissions":[`, `"creditCost":3.5`} {
		if status, body := curl(t, lines[i]); status != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("curl %s: %d %s, want %s", lines[i], status, body, want)
		}
	}
	until(t, "the change at the Wrapper shows", func() bool { return check() == "crm.leads.create costs 3.5\n" })

	lines = printed(demo.out.String(), "echo")
	event, rest, _ := strings.Cut(lines[0], " | bin/tenantry ")
	until(t, "the two owners are told, and nobody else", func() bool {
		return strings.Contains(tenantry(strings.Trim(event, "'"), strings.Fields(rest)...).out, "to 2 subscribers")
	})
	tenantry("", "demo", "--base-port", base).expect(t, 2, "", "--base-port takes other ports")
}

func TestDemoEnds(t *testing.T) {
	demo := tenantry("", "demo", "--nodes", "1", "--base-port", basePort(t), "--tenants", "0", "--for", "2s")
	demo.expect(t, 0, "Tenantry demo: one node, ready.", "")
	tenantry("", "demo", "--base-port", "65535").expect(t, 2, "", "--base-port 65535")
	tenantry("", "demo", "--for", "a while").expect(t, 2, "", "--for")
}
