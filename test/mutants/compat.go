package main

func compatAreas() []area {
	return []area{
		{"compat", `^Test`, []mutant{
			{"a message that spans loses its beginning", "compat/inbound.go",
				"in.kept = store[:copy(store, in.kept)]", "in.kept = store[:0]"},
			{"what is unread is forgotten", "compat/inbound.go",
				"		in.grow(in.lent)\n		in.lent = nil", "		in.lent = nil"},
			{"an append writes over what follows", "compat/inbound.go",
				"return in.lent[:n:n], nil", "return in.lent[:n], nil"},
			{"a callback says nil whatever became of the bytes", "compat/task.go",
				"c.rare.pop().answer(err)", "c.rare.pop().answer(nil)"},
			{"what is written without a callback is not copied", "compat/async.go",
				"t.own = append(t.own[:0], buf...)", "t.own = buf"},
			{"a close drops what was not sent", "compat/conn.go",
				"	c.t.LoseConnection()", "	c.t.AbortConnection()"},
			{"the end of the engine does not wait for output", "compat/stop.go",
				"over >= lastWait && !el.sending()", "over >= lastWait"},
			{"a peer's half-close is the end", "compat/conn.go",
				"	if c.e.half == nil {\n		c.lose()", "	if c.e != nil {\n		c.lose()"},
			{"a deadline ends nothing", "compat/conn.go",
				"	if writing {\n		c.Abort()\n		return\n	}\n	c.lose()", "	if writing {\n		c.Abort()\n	}"},
			{"unread input has no limit", "compat/conn.go",
				"len(c.kept) > c.e.readLimit", "len(c.kept) < 0"},
			{"a datagram's answer goes to whoever sent last", "compat/packets.go",
				"if s.last != nil && s.last.to == from {", "if s.last != nil {"},
			{"an engine ends by a callback's error only", "compat/eventloop.go",
				"	el.e.answered(el.l, r.Run(ctx))", "	_ = r.Run(ctx)"},
		}},
	}
}
