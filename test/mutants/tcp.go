package main

func tcpAreas() []area {
	return []area{
		{"tcp-client", `^TestCase(8[0-9]|9[0-3])`, []mutant{
			{"a refusal is not told from other failures", "connector/errors.go",
				"kind = transport.Refused", "kind = transport.Failed"},
			{"a client without a protocol has lost a connection in good order", "connector/attempt.go",
				"Kind: transport.Refused, Err: ErrNoProtocol", "Kind: transport.Done, Err: ErrNoProtocol"},
			{"the factory is given the target, and not the peer's address", "connector/attempt.go",
				"p = c.f.BuildProtocol(remote)", "p = c.f.BuildProtocol(local)"},
			{"the zone of an address is lost", "proactor/address.go",
				"return IPAddress(n, ip, uint16(port)), nil", `return IPAddress(n, ip.WithZone(""), uint16(port)), nil`},
		}},
		{"tcp-server", `^TestCase(9[5-9]|1[01][0-9])[A-Z]`, []mutant{
			{"a listener stays deaf after an error of accept", "transport/listener.go",
				"	e.state = accepting\n	e.l.Submit(&e.op)", "	e.state = accepting"},
			{"clients hang when there are no descriptors", "transport/accept.go",
				"if whose == shortage {", "if whose == theirs {"},
			{"a port that ends does not stop its factory", "connector/port.go",
				"guard(p.l, func() { doStop(p.f) })", "guard(p.l, func() {})"},
			{"a server behind a wildcard is at the wildcard", "connector/share.go",
				"local, _, _ = s.l.Sockets().Names(h)", "_, _, _ = s.l.Sockets().Names(h)"},
			{"the reserve is not taken again", "internal/sys/accept_posix.go",
				"if fd, rerr := openReserve(); rerr == nil {", "if fd, rerr := openReserve(); rerr != nil {"},
		}},
		{"connector", `^Test(Case12[0-8]|X3Connect|X4|X6|X9|X5[46])`, []mutant{
			{"an attempt that was stopped does not say by whom", "connector/connector.go",
				"Kind: transport.Aborted, Err: ErrUserStopped", "Kind: transport.Aborted, Err: ErrNotConnecting"},
			{"the factory is told before the protocol", "connector/attempt.go",
				"	defer c.guard(func() { c.f.ConnectionLost(c, err) })", "	c.guard(func() { c.f.ConnectionLost(c, err) })"},
			{"nothing may be begun in ConnectionLost", "connector/connector.go",
				"case (c.phase == telling || c.phase == failed) && !c.again:", "case c.phase == failed && !c.again:"},
			{"an attempt that ends with the loop does not say so", "connector/connector.go",
				`Op: "connect", Addr: c.target, Kind: transport.Stopped, Err: err`,
				`Op: "connect", Addr: c.target, Kind: transport.Failed, Err: ErrUserStopped`},
		}},
		{"factory", `^TestCase1(29|3|40)`, []mutant{
			{"a factory is stopped with the first port that goes", "connector/factory.go",
				"if s.n == 0 && s.OnStop != nil {", "if s.OnStop != nil {"},
			{"a factory is started with every port", "connector/factory.go",
				"if s.n == 0 && s.OnStart != nil {", "if s.OnStart != nil {"},
			{"a pause in ConnectionMade is forgotten", "transport/conn.go",
				"	c.enter(open)\n	c.call(connectionMade, nil)\n",
				"	c.enter(open)\n	c.call(connectionMade, nil)\n	c.flags &^= paused\n"},
			{"a name that looks like an address in part is one", "connector/destination.go",
				"if ip, err := netip.ParseAddr(host); err == nil {",
				"if ip, err := netip.ParseAddr(host); err == nil || len(host) < 6 {"},
		}},
	}
}
