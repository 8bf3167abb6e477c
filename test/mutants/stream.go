package main

func streamAreas() []area {
	return []area{
		{"transport", `^Test(Case14|Case15[0-5]|X1Write|X10|X18|X19|X36)`, []mutant{
			{"pieces of one byte in a sequence are lost", "transport/write.go",
				"	for _, b := range bufs {\n		if len(b) > 0 {\n			c.enqueue(b)",
				"	for _, b := range bufs {\n		if len(b) > 1 {\n			c.enqueue(b)"},
			{"a write after the end is taken, and lost", "transport/write.go",
				"		return ErrNotWritable\n	}\n	if n >", "		return nil\n	}\n	if n >"},
			{"the end is told during a pause", "transport/read.go",
				"if c.in.n == 0 && !(c.flags.has(paused) && err == io.EOF) {", "if c.in.n == 0 {"},
			{"what a pause kept is forgotten", "transport/read.go",
				"	c.keep(op, files)\n	if stopped", "	if stopped"},
			{"output is dropped when the peer has finished", "transport/read.go",
				"		c.enter(losing)\n		c.l.AtTurnEnd(&c.flush)\n	}\n}", "		c.die(Done, \"read\", io.EOF)\n	}\n}"},
		}},
		{"half-close", `^Test(Case15[6-9]|Case16[01]|X2Write)`, []mutant{
			{"nobody is told that the writing side has ended", "transport/close.go",
				"			c.call(writeConnectionLost, nil)\n", "			_ = writeConnectionLost\n"},
			{"a half-closer loses the connection with the peer's end", "transport/read.go",
				"	half := c.flags.has(halfCloser)", "	half := c.flags.has(halfCloser) && c.state == shut"},
			{"the end of the stream overtakes the data", "transport/close.go",
				"		c.enter(shutting)\n		c.l.AtTurnEnd(&c.flush)",
				"		c.enter(shutting)\n		_ = c.l.Sockets().Shutdown(c.recv.Handle)\n		c.l.AtTurnEnd(&c.flush)"},
			{"a panic of the protocol is forgotten", "transport/callback.go",
				`	c.die(Panicked, "protocol", &PanicError{Value: v})`, "	_ = v"},
		}},
		{"abort", `^TestCase1(6[3-9]|7[1-3])`, []mutant{
			{"an abort is a close", "transport/close.go",
				"	c.abort()\n}", "	c.LoseConnection()\n}"},
			{"ConnectionLost is called inside AbortConnection", "transport/close.go",
				"	c.abort()\n}", "	c.abort()\n	c.p.ConnectionLost(c.why)\n}"},
			{"a panic gives way to the abort before it", "transport/close.go",
				"if c.why == nil || k == Panicked || c.why.Kind == Done", "if c.why == nil || c.why.Kind == Done"},
			{"the timer outlives the connection", "transport/close.go",
				"	c.state = dead\n	c.timer.Stop()\n", "	c.state = dead\n	c.l.Start(&c.timer, time.Minute)\n"},
		}},
		{"reconnect", `^Test(Case41[56]|X51)`, []mutant{
			{"StopTrying is forgotten by a wait", "connector/reconnecting.go",
				"		_ = r.c.StopConnecting() // ErrNotConnecting: there is nothing to end\n", ""},
			{"StopTrying is forgotten by a connection", "connector/reconnecting.go",
				"	r.over = true\n", ""},
			{"the longest wait is not the longest", "connector/backoff.go",
				"return time.Duration(min(wait, longest))", "return time.Duration(wait)"},
			{"the first wait is as long as the second", "connector/backoff.go",
				"for i := 1; i < n && wait < longest; i++ {", "for i := 0; i < n && wait < longest; i++ {"},
		}},
	}
}
