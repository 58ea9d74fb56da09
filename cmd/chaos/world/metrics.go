package world

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// Metrics returns the node's metrics, those of all labels added up.
func (w *World) Metrics(ctx context.Context) (map[string]float64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+w.admin+"/metrics", nil)
	if err != nil {
		return nil, err
	}
	res, err := w.scraper.Do(req)
	if err != nil {
		return nil, fmt.Errorf("the node's metrics: %w", err)
	}
	defer func() { _ = res.Body.Close() }()
	all := make(map[string]float64)
	lines := bufio.NewScanner(res.Body)
	for lines.Scan() {
		series, text, ok := strings.Cut(lines.Text(), " ")
		value, err := strconv.ParseFloat(text, 64)
		if name, _, _ := strings.Cut(series, "{"); ok && err == nil {
			all[name] += value
		}
	}
	return all, lines.Err()
}
