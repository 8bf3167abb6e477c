package main

func secureAreas() []area {
	return []area{
		{"tls", `^Test(X2[6-9]|X30|Case(18[79]|19[137]|20[03]|22[347]))`, []mutant{
			{"a half-closer loses the connection with the peer's close_notify", "transport/tls/close.go",
				"	y.dropInput()\n	if !y.flags.has(halfCloser) {", "	y.dropInput()\n	if y.flags.has(peerDone) {"},
			{"what was written before a close is lost", "transport/tls/close.go",
				"	y.arm(y.marks.CloseTimeout)\n	y.advance()\n}",
				"	y.arm(y.marks.CloseTimeout)\n	y.dropOutput()\n	y.advance()\n}"},
			{"nobody is told that the handshake is complete", "transport/tls/read.go",
				"		y.completed(state)\n", "		_ = state\n"},
			{"a close before the handshake forgets what was written", "transport/tls/close.go",
				"	case len(y.pending) == 0:", "	case len(y.pending) >= 0:"},
		}},
		{"udp", `^Test(Case2(59|6[13-9]|7[1-7])|X39)`, []mutant{
			{"nobody is told of a refusal", "transport/datagram/receive.go",
				"transport.As[ConnectionRefuser](p.p); ok {", "transport.As[ConnectionRefuser](p.p); ok && p.remote.IsUnix() {"},
			{"a refusal ends the port", "transport/datagram/receive.go",
				"	if errors.Is(err, syscall.EBADF) ||", "	if errors.Is(err, syscall.ECONNREFUSED) ||"},
			{"an address of the other family is taken", "transport/datagram/send.go",
				"	case here.IP().Is4() != to.IP().Is4():\n		return syscall.EAFNOSUPPORT\n	}",
				"	}"},
			{"a port is at the address that it was given, not at the one that it has", "transport/datagram/port.go",
				"	p.bound, p.local = bound, bound", "	p.bound = p.local"},
		}},
		{"multicast", `^TestCase28[0-5]`, []mutant{
			{"the time to live is not set", "internal/sys/udp_posix.go",
				"if err == nil && o.MulticastTTL != 0 {", "if err == nil && o.MulticastTTL < 0 {"},
			{"the loopback stays on", "internal/sys/udp_posix.go",
				"		if o.MulticastLoop == proactor.On {", "		if o.MulticastLoop != proactor.Unset {"},
			{"a group that was left sends on", "internal/sys/multicast_posix.go",
				"	return s.member(h, false, &m)", "	return nil"},
			{"a simulated socket is sent what it has not joined", "sim/multicast.go",
				"		return g.group == to &&", "		return g.group != to &&"},
		}},
		{"unixgram", `^Test(Case25[5-7]|X40)`, []mutant{
			{"a datagram that was cut is delivered", "transport/datagram/receive.go",
				"	case msg.Truncated:\n		p.discard(msg.Files)\n", ""},
			{"a datagram that was cut is not counted", "transport/datagram/receive.go",
				"		p.stats.Truncated++\n", "		p.stats.Truncated += 0\n"},
			{"nobody knows who sent it", "transport/datagram/receive.go",
				"		p.deliver(op.Buf, p.from, &p.msg)", "		p.deliver(op.Buf, proactor.Address{}, &p.msg)"},
			{"a path in use is taken over", "internal/sys/unixfile_posix.go",
				"|| s.answers(typ) {", "{"},
		}},
	}
}
