package world

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// Metrics returns the first node's metrics.
func (w *World) Metrics(ctx context.Context) (map[string]float64, error) {
	return w.Nodes()[0].Metrics(ctx)
}

// Metrics returns the node's metrics: each series by its name with labels, and those of
// all labels added up by the name alone.
func (n *Node) Metrics(ctx context.Context) (map[string]float64, error) {
	res, err := n.look(ctx, "/metrics")
	if err != nil {
		return nil, fmt.Errorf("the metrics of %s: %w", n.Name, err)
	}
	defer func() { _ = res.Body.Close() }()
	all := make(map[string]float64)
	lines := bufio.NewScanner(res.Body)
	for lines.Scan() {
		series, text, ok := strings.Cut(lines.Text(), " ")
		value, err := strconv.ParseFloat(text, 64)
		if !ok || err != nil {
			continue
		}
		name, _, labelled := strings.Cut(series, "{")
		if all[name] += value; labelled {
			all[series] = value
		}
	}
	return all, lines.Err()
}

// Ready says that a load balancer would send requests to the node.
func (n *Node) Ready(ctx context.Context) bool {
	res, err := n.look(ctx, "/readyz")
	if err != nil {
		return false
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, 1<<16)) // so that the connection is used again
	return res.Body.Close() == nil && res.StatusCode == http.StatusOK
}

func (n *Node) look(ctx context.Context, path string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+n.admin+path, nil)
	if err != nil {
		return nil, err
	}
	return n.world.scraper.Do(req)
}
