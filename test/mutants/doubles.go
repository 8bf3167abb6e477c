package main

func doubleAreas() []area {
	return []area{
		{"forward", `^Test(Case40[34]|X48)`, []mutant{
			{"an end is forwarded as the end of both directions", "flow/pipe.go",
				"e.other.t.LoseWriteConnection()", "e.other.t.LoseConnection()"},
			{"a client for which there is no connection is closed in good order", "flow/forwarder.go",
				"	s.client.t.AbortConnection()\n", "	s.client.t.LoseConnection()\n"},
			{"there is room for one client more", "flow/forwarder.go",
				"limit >= 0 && n > limit {", "limit >= 0 && n > limit+1 {"},
			{"a client's place stays taken", "flow/forwarder.go",
				"	s.f.conns.Add(-1)\n	if s.f.Ended", "	if s.f.Ended"},
		}},
		{"doubles", `^TestCase4(2[7-9]|3[1-3])`, []mutant{
			{"the peer is at the transport's own address", "fake/methods.go",
				"{ return t.Remote }", "{ return t.Local }"},
			{"a transport that is closing may be paused", "fake/methods.go",
				"if t.phase >= closing {\n		misuse", "if t.phase > closing {\n		misuse"},
			{"a pump says the opposite", "fake/pump.go",
				"Stats().Completed != before, err", "Stats().Completed == before, err"},
			{"a backend that is not there fails the test", "fake/each.go",
				`t.Skipf("no reactor on`, `t.Fatalf("no reactor on`},
		}},
	}
}
