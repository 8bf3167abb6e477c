package main

func processAreas() []area {
	return []area{
		{"descriptors", `^Test(Case6[3-9]|Case7|Reader|Descriptor)`, []mutant{
			{"a removed reader is called once more", "transport/descriptor/watch.go",
				"	if w.state == leaving {\n		w.set.leaving--",
				"	if w.state == leaving {\n		_ = w.d.DoRead()\n		w.set.leaving--"},
			{"a descriptor is called once only", "transport/descriptor/watch.go",
				"	if w.state != gone {\n		w.arm()\n	}", "	if w.state == gone {\n		w.arm()\n	}"},
			{"an error does not end it", "transport/descriptor/watch.go",
				"	w.lose(err)\n}", "	_ = err\n}"},
			{"the loop's end is told to nobody", "transport/descriptor/set.go",
				"			w.lose(err)\n", "			w.leave()\n"},
		}},
		{"processes", `^Test(Case2(8[7-9]|9)|Case3(0|1[0-7])|X4[3-7])`, []mutant{
			{"the end does not wait for the pipes", "transport/process/process.go",
				"x.state != exited || x.open > 0 ||", "x.state != exited ||"},
			{"a killed child has status 0", "transport/process/protocol.go",
				"	case status&0x7f != 0:", "	case status&0x7f == 0x7f:"},
			{"a child that has exited keeps its number", "transport/process/process.go",
				"	if x.state != alive {\n		return 0\n	}", "	if x.state == ended {\n		return 0\n	}"},
			{"a write to a closed input is taken", "transport/pipe/writer.go",
				"		return 0, transport.ErrNotWritable", "		return len(p), nil"},
			{"the loop's stop is not told", "transport/process/process.go",
				"		x.exit(err)\n		x.l.Cancel(&x.wait)", "		x.l.Cancel(&x.wait)"},
		}},
		{"stdio", `^TestCase32`, []mutant{
			{"LoseConnection leaves the output open", "transport/pipe/stream.go",
				"	s.in.Close(net.ErrClosed)\n	s.out.Close()\n", "	s.in.Close(net.ErrClosed)\n"},
			{"a panic is not the end", "transport/pipe/stream.go",
				`			s.die(transport.Panicked, "protocol", &loop.PanicError{Value: v})`,
				`			_ = loop.PanicError{Value: v}`},
			{"a pause does nothing", "transport/pipe/reader.go",
				"{ r.paused = true }", "{ r.paused = false }"},
			{"the descriptors themselves are taken, and closed", "stdio.go",
				"	own, err := l.Sockets().Duplicate(fd)", "	own, err := fd, error(nil)"},
		}},
		{"adopt", `^Test(Case329|Case33|Adopt)`, []mutant{
			{"the port takes the caller's descriptor", "connector/adopt.go",
				"	own, err := sockets.Duplicate(fd)", "	own, err := fd, error(nil)"},
			{"a connection is taken for a listener", "connector/adopt.go",
				"	case listening && refused != nil:", "	case listening && refused != nil && fd < 0:"},
			{"a connection without a protocol leaks", "connector/adopt.go",
				"	if p == nil {\n		_ = l.Sockets().CloseFD(h)", "	if p == nil {"},
			{"a datagram port takes the caller's descriptor", "transport/datagram/adopt.go",
				"	own, err := sockets.Duplicate(fd)", "	own, err := fd, error(nil)"},
			{"an adopted datagram port binds again", "transport/datagram/port.go",
				"	if p.adopted {", "	if false {"},
			{"what is no datagram socket is adopted as one", "transport/datagram/adopt.go",
				"	return syscall.EPROTONOSUPPORT\n", "	return nil\n"},
		}},
	}
}
