package main

func nameAreas() []area {
	return []area{
		{"resolver", `^Test(Case3(3[6-9]|4[0-5])|X5[234])`, []mutant{
			{"a lookup has no timeout", "connector/resolver.go",
				"orDefault(r.Timeout, DefaultLookupTimeout); d > 0 {",
				"orDefault(r.Timeout, DefaultLookupTimeout); d < 0 {"},
			{"the family of a question is ignored", "connector/resolution.go",
				"a.IP().IsValid() && q.Family.has(a.IP())", "a.IP().IsValid()"},
			{"the lookup of an attempt that was stopped goes on", "connector/attempt.go",
				"		c.cancel = nil\n		cancel()\n", "		c.cancel = nil\n"},
			{"names are looked up as they are written", "connector/host.go",
				`label = "xn--" + punycode([]rune(strings.ToLower(label)))`, "label = strings.ToLower(label)"},
			{"families do not take turns", "connector/attempt.go", "range interleave(ips) {", "range ips {"},
			{"an address that fails makes no room for the next", "connector/race.go",
				"op.Err))\n		r.next()\n		return",
				"op.Err))\n		r.c.l.Start(&r.timer, r.c.o.AttemptDelay)\n		return"},
		}},
		{"endpoints", `^TestCase3(4[7-9]|5|6|71)`, []mutant{
			{"the future is completed with the wrapper", "endpoint/wrap.go",
				"return k.built })", "return nil })"},
			{"a future that is cancelled leaves the attempt alone", "endpoint/attempt.go",
				"		a.gaveUp = true\n		a.c.Disconnect()", "		a.gaveUp = true"},
			{"a factory is not told of the loss", "endpoint/attempt.go",
				"a.tell(func() { a.client.ConnectionLost(c, err) })", "_ = err"},
			{"an equal sign in a value begins another", "endpoint/description.go",
				"case c == '=' && !now.Named:", "case c == '=':"},
			{"a mode is a decimal number", "endpoint/parser.go", `a.Int("mode", 8, 0)`, `a.Int("mode", 10, 0)`},
		}},
		{"service", `^TestCase4(1[79]|2[0-5])`, []mutant{
			{"a success does not reset the delay", "endpoint/service.go",
				"s.state, s.failures = connected, 0", "s.state = connected"},
			{"a start during a stop is forgotten", "endpoint/service.go",
				"		case ending:\n			s.state = restarting\n", ""},
			{"nobody gives up", "endpoint/service.go", "if w.limit == 1 {", "if w.limit == -1 {"},
			{"a failed preparation counts as a success", "endpoint/service.go",
				"			case err != nil:\n				s.unprepared(k, err)\n", ""},
		}},
		{"unix", `^Test(Case2(3[79]|4|5[23])|X3[47])`, []mutant{
			{"a descriptor is sent by its number", "transport/files.go",
				"twin, err := c.l.Sockets().Duplicate(fd)", "twin, err := fd, error(nil)"},
			{"descriptors come before bytes that were sent earlier", "transport/files.go",
				"parcel{ahead: c.in.n, fds: fds}", "parcel{fds: fds}"},
			{"descriptors wait for bytes", "transport/write.go",
				"	if files > c.out.n {\n		c.die(Failed, \"write\", ErrFileOverrun)\n		return\n	}\n", ""},
			{"a write of one piece forgets the descriptors beside it", "transport/write.go",
				"c.flying > 0 || c.rare != nil ||", "c.flying > 0 ||"},
			{"a writer of descriptors is not paused", "transport/write.go",
				"(c.out.n > c.o.highWater() || c.filesQueued() > pauseFiles)", "c.out.n > c.o.highWater()"},
		}},
	}
}
