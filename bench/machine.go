package bench

// divide shares processors between servers and the load: the first half is the
// servers', at least one. With fewer than two nobody is pinned.
func divide(cpus []int) (servers, loads []int) {
	if len(cpus) < 2 {
		return nil, nil
	}
	half := max(len(cpus)/2, 1)
	return cpus[:half], cpus[half:]
}
