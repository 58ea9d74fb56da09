package subscriber

// Channels returns the names of a tenant's channels, sorted, if they are all
// subscribed and confirmed on its connection now (C1); otherwise none. A
// connection that is lost confirms nothing until it has been made again.
func (s *Subscriber) Channels(tenant string) []string {
	c := s.conns[s.Conn(tenant)]
	if c.current.Load() == nil || !c.roster.confirmed(tenant) {
		return nil
	}
	channels := make([]string, len(s.topics))
	for i, topic := range s.topics {
		channels[i] = s.prefix + tenant + ":" + topic
	}
	return channels
}

// confirmed says whether all channels of a tenant that is followed are
// confirmed.
func (r *roster) confirmed(tenant string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.seats[tenant]
	return s.has(wanted) && s.confirmed()
}
