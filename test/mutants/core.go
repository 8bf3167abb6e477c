package main

func coreAreas() []area {
	return []area{
		{"core", `^Test(Case([1-9]|[12][0-9]|3[0-2])[A-Z]|X22)`, []mutant{
			{"an event waits for nothing", "triggers.go",
				"if e.pending > 0 && !e.cut {", "if false {"},
			{"the removal of a trigger that there is not is no error", "triggers.go",
				"	return false, ErrNoTrigger\n}\n\n// fire", "	return false, nil\n}\n\n// fire"},
			{"a Stop that comes too early says nothing", "stop.go",
				"	if !r.end(stopping) {\n		return ErrNotRunning\n	}\n", "	r.end(stopping)\n"},
			{"a Crash is a Stop of the loops", "stop.go",
				"		l.Pause()\n", "		l.Stop()\n"},
			{"signals are heard after Run", "run.go",
				"	r.running.Store(false)\n	r.signals.stop()\n", "	r.running.Store(false)\n"},
			{"connections are lost while the reactor is running", "stop.go",
				"		r.running.Store(false)\n		r.dropped = true", "		r.dropped = true"},
		}},
		{"time", `^Test(Case(3[3-9]|4[0-9]|5[0-9]|6[01])[A-Z]|X1[4-7])`, []mutant{
			{"a call is to come while it is made", "delayed.go",
				"	c.f, c.called = nil, true\n	f()\n", "	f()\n	c.f, c.called = nil, true\n"},
			{"the calls to come are in any order", "loop/timer.go",
				"		return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.seq, b.seq))", "		return cmp.Compare(b.at, a.at)"},
			{"a looping call drifts", "loop/looping.go",
				"		c.wait(c.interval - (now-c.start)%c.interval + now - c.l.Now())", "		c.wait(c.interval + 0*now)"},
			{"a looping call does not wait for its function", "loop/looping.go",
				"	if later == nil || err != nil {", "	if true {"},
		}},
		{"threads", `^TestCase(37[2-9]|38[0-5])[A-Z]`, []mutant{
			{"what waits for a thread is not told of the end", "threads.go",
				"	for _, j := range left {\n		j.done(ErrStopped, nil)\n	}\n", "	_ = left\n"},
			{"a call is made inside Call", "loop/calls.go",
				"	c.in = append(c.in, f)\n",
				"	if l.Inside() {\n		c.mu.Unlock()\n		f()\n		return nil\n	}\n	c.in = append(c.in, f)\n"},
			{"a panic in a thread is nobody's", "threads.go",
				"		case stack != nil:\n", "		case stack != nil && err == nil:\n"},
		}},
	}
}
