package main

// How a loop, and a goroutine that waits for one, waits.
func waitAreas() []area {
	return []area{
		{"bell", "^TestBell", []mutant{
			{"who looks does not see the loop's events", "epoll/bell_linux.go",
				"	return n == 1\n", "	return n == 2\n"},
			{"who looks sees what is not there", "epoll/bell_linux.go",
				"	return n == 1\n", "	return n != 2\n"},
			{"who looks does not see a bell that was rung", "epoll/bell_linux.go",
				"	return b.rung.Load() || b.loop", "	return b.loop"},
			{"who looks does not see that the loop is over", "epoll/bell_linux.go",
				"b.loop.Control(b.peek) != nil || b.busy", "b.loop.Control(b.peek) == nil && b.busy"},
			{"nobody looks before he waits", "epoll/bell_linux.go",
				"	b.spinner.Spin(-1, b.work.Load(), 1, b.look)\n", ""},
			{"a channel's ring is heard twice", "epoll/bell_linux.go",
				"		<-b.ch\n		b.rung.Store(false)\n", "		<-b.ch\n"},
			{"a bell of one P does not end with its backend", "epoll/bell_linux.go",
				"	if b.ch != nil {\n		b.send()\n	} else {\n		_ = b.file.Close()",
				"	if b.ch == nil {\n		_ = b.file.Close()"},
			{"a bell that is heard late does not rest", "epoll/bell_linux.go",
				"> int64(late)", "> int64(late)<<40"},
		}},
		{"spin", "^TestSpin", []mutant{
			{"it looks whatever that costs", "internal/sys/spin.go",
				"s.cost(work) > s.asleep*max(s.Margin, 1))", "s.cost(work) < 0)"},
			{"the margin is none", "internal/sys/spin.go",
				"s.asleep*max(s.Margin, 1))", "s.asleep)"},
			{"two threads' clocks are one", "internal/sys/spin.go",
				"return s.Roams && s.thread != ThreadID()", "return false"},
			{"it looks on in vain", "internal/sys/spin.go",
				"s.misses > spinSpan/2 || ", ""},
			{"it never looks again", "internal/sys/spin.go",
				"		if s.waits > s.rest*spinSpan {", "		if false {"},
		}},
	}
}
