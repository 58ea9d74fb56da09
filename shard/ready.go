package shard

import "fmt"

// Readiness says whether the node should be sent requests: it is, once its bus
// has been live on every connection and until it drains. The reasons say why
// it is not; degraded lists what is wrong with a node that stays ready, such
// as a bus that was lost later: reads are then answered from the origin.
func (n *Node) Readiness() (ready bool, reasons, degraded []string) {
	if n.draining.Load() {
		reasons = append(reasons, "draining")
	}
	for i, c := range n.bus.Status() {
		if c.Live {
			continue
		}
		text := fmt.Sprintf("bus connection %d is not live", i)
		if c.Err != nil {
			text += ": " + c.Err.Error()
		}
		if c.Since.IsZero() {
			reasons = append(reasons, text)
		} else {
			degraded = append(degraded, text)
		}
	}
	return len(reasons) == 0, reasons, degraded
}
