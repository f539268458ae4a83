package dispatcher

// Evacuate has every job that runs look after what it keeps at servers that drain.
func (d *Dispatcher) Evacuate() {
	for _, m := range d.masters() {
		m.Evacuate()
	}
}

// Kept is how many exchanges jobs that run need at a server that drains, and what one of
// them waits for.
func (d *Dispatcher) Kept(server string) (exchanges int, why string) {
	for _, m := range d.masters() {
		n, reason := m.Kept(server)
		if exchanges += n; why == "" {
			why = reason
		}
	}
	return exchanges, why
}
