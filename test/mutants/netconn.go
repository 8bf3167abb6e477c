package main

func netconnAreas() []area {
	return []area{
		{"netconn", `^Test(LikePackageNet|Peek|Writ|ReadBuffer|Unaccepted|Hijack|Detach|Packet|NettestTCP|Errand|Number)`, []mutant{
			{"a Read does not see its deadline", "netconn/read.go",
				"	if c.r.deadline.over() {", "	if false && c.r.deadline.over() {"},
			{"a connection receives without a limit", "netconn/read.go",
				"stop := r.q.n >= c.o.ReadBuffer && !r.stopped", "stop := r.q.n >= 1<<40 && !r.stopped"},
			{"a reader that has made room does not say so", "netconn/read.go",
				"return c.r.stopped && c.r.q.n <= c.o.ReadBuffer/2", "return c.r.stopped && c.r.q.n < 0"},
			{"a Write forgets what the socket did not take", "netconn/write.go",
				"	k, err := c.sendRest(p[n:], nil)\n	return n + k, err", "	return len(p), nil"},
			{"a deadline leaves the loop's Send alone", "netconn/errand.go",
				"return begin, !begin && e.stage == sending && e.abort", "return begin, false"},
			{"a Write that the loop will not do is not woken", "netconn/errand.go",
				"		e.end(0, proactor.ErrCanceled)\n		e.w.wake()\n", "		e.end(0, proactor.ErrCanceled)\n"},
			{"a number is closed while somebody uses it", "netconn/socket.go",
				"s.left = s.guests > 0\n", "s.left = false\n"},
			{"Writes do not take turns", "netconn/write.go",
				"	w.turn.Lock()\n	defer w.turn.Unlock()\n	n, err := c.writeTurn(p)", "	_ = w\n	n, err := c.writeTurn(p)"},
			{"bytes that came before a Hijack are lost", "netconn/both.go",
				"	if len(unread) > 0 {", "	if len(unread) > 1<<40 {"},
			{"Detach gives no unread bytes", "netconn/both.go",
				"		d.unread = append(d.unread, p.bytes...)", "		d.unread = append(d.unread, p.bytes[:0]...)"},
			{"a listener accepts without a limit", "netconn/listener.go",
				"stop := len(n.queue)+n.pending >= n.o.Unaccepted && !n.stopped", "stop := n.pending < 0 && !n.stopped"},
			{"datagrams are kept without a limit", "netconn/packetread.go",
				"(r.n >= c.o.Datagrams || r.bytes >= c.o.DatagramBytes)", "r.n < 0"},
			{"an errno has no system call's name", "netconn/errors.go",
				"		return os.NewSyscallError(call, errno)", "		return errno"},
		}},
	}
}
