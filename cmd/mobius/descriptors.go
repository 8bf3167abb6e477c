package main

import (
	"log/slog"

	"mobius/proxy"
)

// leaveDescriptors bounds the numbers of clients, so that they cannot take all
// descriptors: the status page, the upstreams' names and relays' pipes need some,
// too. A connection takes two and a client of udp:// one, of three quarters of
// limit; if there may be both, of half of these each. limit is how many
// descriptors there may be, 0 if that is not known. With --direct connections take
// none: the loops' tables bound them.
func (f *proxyFlags) leaveDescriptors(limit uint64, log *slog.Logger) {
	if limit == 0 {
		return
	}
	share := limit - limit/4
	if len(f.streams.froms) > 0 && len(f.packetFlags.froms) > 0 && f.direct == 0 {
		share /= 2
	}
	if len(f.packetFlags.froms) > 0 {
		f.packetFlags.clients = lower("--udp-clients", f.packetFlags.clients, share, limit, log)
	}
	if f.direct > 0 {
		return
	}
	each := uint64(2)
	if len(f.to) == 0 {
		each++ // the server inside has one, too
	}
	most := share / each
	if f.options.MaxSessions == 0 {
		f.options.MaxSessions = int(min(most, proxy.DefaultMaxSessions))
	}
	f.options.MaxSessions = lower("--clients", f.options.MaxSessions, most, limit, log)
}

// lower returns n, or most if that is less, and says so.
func lower(flag string, n int, most, limit uint64, log *slog.Logger) int {
	if uint64(n) <= most {
		return n
	}
	log.Warn(flag+" is lowered: clients take descriptors; raise the limit (ulimit -n) for more",
		"from", n, "to", most, "descriptors", limit)
	return int(most)
}
