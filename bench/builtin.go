package bench

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"

	"mobius/bench/csource"
	"mobius/bench/load"
)

// Builtin returns the peers that the harness knows. Some need programs that may
// not be there: their Command says so.
func Builtin() []Peer {
	return slices.Concat(mobiusPeers(), goPeers(), cPeers(), proxyPeers())
}

// self marks arguments that come after Options.Self.
const self = "\x00self"

func mobiusPeers() []Peer {
	var out []Peer
	for _, b := range []string{"uring", "epoll"} {
		for _, loops := range []int{1, 0} {
			name := b
			if loops == 0 {
				name += "-all"
			}
			out = append(out, Peer{
				Name: name, Backend: b, Loops: loops, Control: true, Kinds: []string{KindEcho, KindTLS, KindUnix, KindUDP, KindProxy},
				Command: func(at Place) ([]string, error) { return mobiusCommand(at, b), nil },
			})
		}
	}
	return append(out, directPeer("uring-direct", 1), directPeer("uring-direct-all", 0))
}

// directPeer is one whose sockets are in the tables of its loops' rings, without descriptors.
func directPeer(name string, loops int) Peer {
	return Peer{
		Name: name, Backend: "uring", Loops: loops, Control: true, Kinds: []string{KindEcho, KindUnix, KindProxy},
		Command: func(at Place) ([]string, error) {
			places := uint64(directPlaces)
			if limit := descriptorLimit(); limit > 0 {
				places = min(places, limit) // the kernel's bound of a ring's table
			}
			return append(mobiusCommand(at, "uring"), "--direct", strconv.FormatUint(places, 10)), nil
		},
	}
}

// directPlaces is how many sockets each of its loops can have: two for each connection of a
// proxy.
const directPlaces = 2 * load.MaxConns

// mobiusCommand runs the program as its users do.
func mobiusCommand(at Place, backend string) []string {
	args := []string{self, PeerCommand, "mobius"}
	with := []string{"--backend", backend, "--loops", fmt.Sprint(at.Loops)}
	switch at.Kind {
	case KindProxy:
		args = append(args, "proxy", "--listen", "tcp://"+at.Address, "--to", "tcp://"+at.Upstream)
	case KindUnix:
		args = append(args, "echo", "--listen", "unix://"+at.Address)
	case KindTLS:
		args = append(args, "echo", "--listen", "tls://"+at.Address, "--cert", at.Cert, "--key", at.Key)
	case KindUDP:
		args = append(args, "echo", "--listen", "udp://"+at.Address)
	default:
		args = append(args, "echo", "--listen", "tcp://"+at.Address)
	}
	return append(args, with...)
}

func goPeers() []Peer {
	kinds := []string{KindEcho, KindTLS, KindUnix, KindUDP, KindHTTP, KindProxy}
	on := func(what string) func(Place) ([]string, error) {
		return func(at Place) ([]string, error) {
			args := []string{self, PeerCommand, what, at.Kind, at.Address}
			switch at.Kind {
			case KindProxy:
				args = append(args, at.Upstream)
			case KindTLS:
				args = append(args, at.Cert, at.Key)
			}
			return args, nil
		}
	}
	return []Peer{
		{Name: "net", Kinds: kinds, Backend: "netpoller", Loops: 1, Control: true, Command: on("net")},
		{Name: "net-all", Kinds: kinds, Backend: "netpoller", Control: true, Command: on("net")},
		{
			Name: "netconn", Kinds: []string{KindEcho, KindTLS, KindUnix, KindHTTP}, Backend: "auto", Loops: 1, Control: true,
			Command: on("netconn"),
		},
		{
			Name: "netpoll", Kinds: []string{KindEcho, KindUnix}, Backend: "epoll", Loops: 1, Control: true,
			Command: func(at Place) ([]string, error) { return modulePeer("netpoll", at) },
		},
	}
}

// modulePeer finds a program of the module bench/peers: in the user's cache
// directory, beside this program, or in PATH.
func modulePeer(name string, at Place) ([]string, error) {
	program := "mobius-peer-" + name
	var places []string
	if dir, err := csource.CacheDir(); err == nil {
		places = append(places, filepath.Join(dir, program))
	}
	if exe, err := os.Executable(); err == nil {
		places = append(places, filepath.Join(filepath.Dir(exe), program))
	}
	for _, path := range append(places, program) {
		if found, err := exec.LookPath(path); err == nil {
			return []string{found, at.Kind, at.Address}, nil
		}
	}
	return nil, fmt.Errorf("%s is not built; in bench/peers: go build -o DIR ./%s, with DIR in PATH", program, program)
}

func cPeers() []Peer {
	c := func(name, backend string, kinds []string, program string, args ...string) Peer {
		return Peer{Name: name, Kinds: kinds, Backend: backend, Loops: 1, Command: func(at Place) ([]string, error) {
			where := at.Port
			if at.Kind == KindUnix {
				where = at.Address
			}
			argv := []string{inC, program, where}
			if at.Kind == KindProxy {
				argv = append(argv, at.Upstream)
			}
			return append(argv, args...), nil
		}}
	}
	streams, proxies, packets := []string{KindEcho, KindUnix}, []string{KindProxy}, []string{KindUDP}
	return []Peer{
		c("c-epoll", "epoll", streams, "echo_epoll"),
		c("c-uring", "uring", streams, "echo_uring", "4096", "256"),
		c("c-uring-bulk", "uring", streams, "echo_uring", "65536", "64"),
		c("c-uring-inc", "uring", streams, "echo_uring", "262144", "32", "inc"),
		c("c-proxy", "uring", proxies, "proxy_uring", "4096", "256"),
		c("c-proxy-bulk", "uring", proxies, "proxy_uring", "65536", "64"),
		c("c-proxy-inc", "uring", proxies, "proxy_uring", "262144", "32", "inc"),
		c("c-splice", "epoll", proxies, "proxy_splice"),
		c("c-udp", "recvfrom", packets, "udp_echo", "one"),
		c("c-udp-many", "recvmmsg", packets, "udp_echo", "many"),
		c("c-udp-gso", "recvmsg", packets, "udp_echo", "gso"),
	}
}

// inC marks a program of package csource.
const inC = "\x00c"

// resolve replaces the marks of a command.
func (r *runner) resolve(ctx context.Context, argv []string) ([]string, error) {
	switch argv[0] {
	case self:
		return append(slices.Clone(r.self), argv[1:]...), nil
	case inC:
		if r.built == nil {
			r.built = map[string]builtC{}
		}
		b, ok := r.built[argv[1]]
		if !ok {
			b.path, b.err = csource.Build(ctx, r.cache, argv[1])
			if ctx.Err() == nil {
				r.built[argv[1]] = b
			}
		}
		return append([]string{b.path}, argv[2:]...), b.err
	}
	return argv, nil
}

// A builtC is a compiled program, or why there is none.
type builtC struct {
	path string
	err  error
}
