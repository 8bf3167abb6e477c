package main

func policyAreas() []area {
	return []area{
		{"proxy-header", `^Test(Case4(05|07|08|09|1[123])|X49)`, []mutant{
			{"the protocol sees the proxy as its peer", "policies/proxyfront.go",
				"	if f.header.source.IsValid() {\n", "	if !f.header.source.IsValid() {\n"},
			{"LOCAL announces addresses", "policies/proxyv2.go",
				"	if h.command.IsProxy() { //", "	if p[12] != 0 { //"},
			{"a checksum is not looked at", "policies/proxyv2.go",
				"proxyChecksum(p, sum) != binary.BigEndian.Uint32(p[sum:])", "sum < 0"},
			{"a header that is missing is not missed", "policies/proxyheader.go",
				"	return h, 0, noProxyHeader(p)\n", "	return h, 0, nil\n"},
			{"what came with the last piece of a header is lost", "policies/proxied.go",
				"	return p[k:]\n", "	return nil\n"},
			{"what came with the header does not wait for a protocol that has paused", "policies/proxied.go",
				"c.state == passing && !c.paused {\n		p := c.rest", "c.state == passing {\n		p := c.rest"},
			{"each piece of a header has its own deadline", "policies/proxied.go",
				"		c.read(p)\n", "		c.wait.Reset()\n		c.read(p)\n"},
			{"anybody is a trusted proxy", "policies/proxyprotocol.go",
				"	case f.trusts(peer):\n", "	case peer.IsValid():\n"},
		}},
	}
}
