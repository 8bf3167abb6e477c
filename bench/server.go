package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"mobius/bench/control"
)

// A server is a peer that was started.
type server struct {
	*child
	at      Place
	control *control.Client // nil if the peer has none
}

// startTries is how often a server is started that does not get its port: it
// was free when it was chosen, and anybody may take it.
const startTries = 3

// startServer starts a peer, and waits until it listens.
func (r *runner) startServer(ctx context.Context, p *Peer, kind string) (*server, error) {
	var errs []error
	for range startTries {
		s, err := r.tryServer(ctx, p, kind)
		if err == nil {
			return s, nil
		}
		errs = append(errs, err)
		if ctx.Err() != nil || !strings.Contains(strings.ToLower(err.Error()), "in use") {
			break
		}
	}
	return nil, errs[len(errs)-1]
}

func (r *runner) tryServer(ctx context.Context, p *Peer, kind string) (*server, error) {
	at, err := r.place(p, kind)
	if err != nil {
		return nil, err
	}
	argv, err := p.Command(at)
	if err == nil {
		argv, err = r.resolve(ctx, argv)
	}
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(argv[0], argv[1:]...)
	s := &server{at: at}
	if p.Control {
		if s.control, err = control.Prepare(cmd); err != nil {
			return nil, err
		}
	}
	s.child, err = startChild(cmd, r.serverCPUs(p))
	if s.control != nil {
		s.control.Started()
	}
	if err != nil {
		s.close()
		return nil, err
	}
	if err := s.listens(ctx, at, r.o.Start); err != nil {
		s.close()
		return nil, err
	}
	select {
	case <-s.ended: // and somebody else listens there
		err := s.failure()
		s.close()
		return nil, err
	default:
	}
	return s, nil
}

// close stops it, if it was started.
func (s *server) close() {
	if s.child != nil {
		s.stop()
	}
	if s.control != nil {
		s.control.Close()
	}
	if s.at.Kind == KindUnix {
		os.Remove(s.at.Address)
	}
}

// place chooses where a peer listens.
func (r *runner) place(p *Peer, kind string) (Place, error) {
	port, err := freePort()
	if err != nil {
		return Place{}, err
	}
	at := Place{
		Kind: kind, Port: port, Address: "127.0.0.1:" + port, Upstream: r.upstreamAt, Dir: r.dir, Cert: r.cert, Key: r.key, Loops: p.Loops,
	}
	if at.Loops == 0 {
		at.Loops = max(len(r.serverCPUs(p)), 2)
	}
	if kind == KindUnix {
		at.Address = filepath.Join(r.dir, port+".sock")
	}
	return at, nil
}

// serverCPUs returns the processors of a peer: with one loop it gets one.
func (r *runner) serverCPUs(p *Peer) []int {
	if p.Loops > 0 && p.Loops < len(r.servers) {
		return r.servers[:p.Loops]
	}
	return r.servers
}

// startUpstream starts the echo that proxies stand in front of, beside the load.
func (r *runner) startUpstream(ctx context.Context) error {
	for range startTries {
		port, err := freePort()
		if err != nil {
			return err
		}
		at := Place{Kind: KindEcho, Address: "127.0.0.1:" + port}
		argv := append(append([]string(nil), r.self...), LoadCommand, "upstream", at.Address)
		c, err := startChild(exec.Command(argv[0], argv[1:]...), r.loads)
		if err != nil {
			return err
		}
		if err = c.listens(ctx, at, r.o.Start); err == nil {
			r.upstream, r.upstreamAt = c, at.Address
			return nil
		}
		c.stop()
		if ctx.Err() != nil {
			return fmt.Errorf("upstream: %w", err)
		}
	}
	return errors.New("upstream: none of its ports was free")
}
