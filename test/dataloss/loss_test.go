package dataloss

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"mobius/proactor"
	"mobius/test/backends"
	"mobius/transport"
)

// slowly makes a peer read in pieces, with pauses between them, so that the
// other side's output piles up.
func slowly(p *peer, first time.Duration, every int) {
	p.onMade = func(p *peer) {
		p.t.PauseReading()
		p.w.after(first, p.t.ResumeReading)
	}
	next := every
	p.onData = func(p *peer) {
		if p.n < next {
			return
		}
		next += every
		p.t.PauseReading()
		p.w.after(2*time.Millisecond, p.t.ResumeReading)
	}
}

// gnet's Close drops what is pending: 29 of 32 MiB.
func TestCloseWithMuchPending(t *testing.T) {
	each(t, func(w *world) {
		size := w.scaled(32 << 20)
		server, client := w.peer("server"), w.peer("client")
		slowly(client, 50*time.Millisecond, size/16)
		server.onMade = func(p *peer) {
			if n, err := p.t.Write(pattern(0, size)); n != size || err != nil {
				w.t.Errorf("Write of 32 MiB: %d, %v", n, err)
			}
			p.t.LoseConnection()
		}
		w.pair(loopback(), server, client, nil)
		w.until("both have ended", func() bool { return server.ended() && client.ended() })
		client.want(size)
		server.want(0)
	})
}

// evio's and gnet's close also loses when the peer is still sending: input
// that nobody reads turns the close into a reset, which discards output.
func TestCloseWhileThePeerSends(t *testing.T) {
	each(t, func(w *world) {
		size := w.scaled(4 << 20)
		server, client := w.peer("server"), w.peer("client")
		slowly(client, 20*time.Millisecond, size/8)
		resume := client.onMade
		client.onMade = func(p *peer) {
			resume(p)
			if _, err := p.t.Write(pattern(0, 1<<20)); err != nil {
				w.t.Errorf("client: %v", err)
			}
		}
		server.onMade = func(p *peer) {
			p.t.PauseReading()
			if _, err := p.t.Write(pattern(0, size)); err != nil {
				w.t.Errorf("server: %v", err)
			}
			p.t.LoseConnection()
		}
		w.pair(loopback(), server, client, nil)
		w.until("both have ended", func() bool { return server.ended() && client.ended() })
		client.want(size)
	})
}

// gnet, nbio and netpoll take the peer's end for the connection's: a reply
// that comes 100 ms after a half close is lost.
func TestReplyAfterTheEndOfTheRequest(t *testing.T) {
	const size = 100_000
	each(t, func(w *world) {
		server := half{peer: w.peer("server"), onEnd: func(p *peer) {
			w.after(100*time.Millisecond, func() {
				if _, err := p.t.Write(pattern(0, size)); err != nil {
					w.t.Errorf("reply: %v", err)
				}
				p.t.LoseConnection()
			})
		}}
		client := half{peer: w.peer("client"), onEnd: func(*peer) {}}
		client.onMade = func(p *peer) {
			if _, err := p.t.Write(pattern(0, 1000)); err != nil {
				w.t.Errorf("request: %v", err)
			}
			p.t.LoseWriteConnection()
		}
		w.pair(loopback(), server, client, nil)
		w.until("both have ended", func() bool { return server.ended() && client.ended() })
		server.want(1000)
		client.want(size)
	})
}

// A protocol that does not know half closes has its output flushed when the
// peer ends, however slowly the peer reads.
func TestOutputIsFlushedAtThePeersEnd(t *testing.T) {
	each(t, func(w *world) {
		size := w.scaled(8 << 20)
		server := w.peer("server")
		client := half{peer: w.peer("client"), onEnd: func(*peer) {}}
		slowly(client.peer, 20*time.Millisecond, size/8)
		server.onData = func(p *peer) {
			if p.n == 1000 {
				if _, err := p.t.Write(pattern(0, size)); err != nil {
					w.t.Errorf("reply: %v", err)
				}
			}
		}
		pause := client.onMade
		client.onMade = func(p *peer) {
			if _, err := p.t.Write(pattern(0, 1000)); err != nil {
				w.t.Errorf("request: %v", err)
			}
			p.t.LoseWriteConnection()
			pause(p)
		}
		w.pair(loopback(), server, client, nil)
		w.until("both have ended", func() bool { return server.ended() && client.ended() })
		client.want(size)
	})
}

// nbio's Writev of 64 x 1 MiB returns 4 MB and no error, and 60 MiB are gone.
func TestWritevToASlowReader(t *testing.T) {
	each(t, func(w *world) {
		pieces, piece := 64, w.scaled(1<<20)
		server, client := w.peer("server"), w.peer("client")
		slowly(client, 50*time.Millisecond, pieces*piece/8)
		server.onMade = func(p *peer) {
			var bufs [][]byte
			for i := range pieces {
				bufs = append(bufs, pattern(i*piece, piece))
			}
			if n, err := p.t.Writev(bufs); n != pieces*piece || err != nil {
				w.t.Errorf("Writev of 64 MiB: %d, %v", n, err)
			}
			p.t.LoseConnection()
		}
		w.pair(loopback(), server, client, nil)
		w.until("both have ended", func() bool { return server.ended() && client.ended() })
		client.want(pieces * piece)
	})
}

// What does not fit is refused as a whole, with an error, and never cut.
func TestWritevBeyondTheLimit(t *testing.T) {
	each(t, func(w *world) {
		server, client := w.peer("server"), w.peer("client")
		server.onMade = func(p *peer) {
			n, err := p.t.Writev([][]byte{pattern(0, 600_000), pattern(600_000, 600_000)})
			if n != 0 || !errors.Is(err, transport.ErrFull) {
				w.t.Errorf("Writev of more than the limit: %d, %v, want 0 and ErrFull", n, err)
			}
			if n, err := p.t.Write(pattern(0, 1000)); n != 1000 || err != nil {
				w.t.Errorf("Write after that: %d, %v", n, err)
			}
			p.t.LoseConnection()
		}
		w.pair(loopback(), server, client, &transport.Options{HardLimit: 1 << 20})
		w.until("both have ended", func() bool { return server.ended() && client.ended() })
		client.want(1000)
	})
}

// nbio's Write of 8 MiB to a unix socket says that all went well, and delivers
// 3 % of it.
func TestUnixWriteToASlowReader(t *testing.T) {
	each(t, func(w *world) {
		size := w.scaled(8 << 20)
		server, client := w.peer("server"), w.peer("client")
		slowly(client, 20*time.Millisecond, size/8)
		server.onMade = func(p *peer) {
			if n, err := p.t.Write(pattern(0, size)); n != size || err != nil {
				w.t.Errorf("Write of 8 MiB: %d, %v", n, err)
			}
			p.t.LoseConnection()
		}
		w.pair(proactor.UnixAddress(filepath.Join(w.t.TempDir(), "s")), server, client, nil)
		w.until("both have ended", func() bool { return server.ended() && client.ended() })
		client.want(size)
	})
}

// evio's Wake overwrites what is pending (4 of 16 MB arrive), and xnet lets two
// sends pass each other: here many writes of odd sizes are made from posted
// calls and timers while output is pending.
func TestWritesWhileOutputIsPending(t *testing.T) {
	each(t, func(w *world) {
		total := w.scaled(16 << 20)
		server, client := w.peer("server"), w.peer("client")
		slowly(client, 20*time.Millisecond, total/16)
		written := 0
		var more func()
		more = func() {
			n := min(total-written, 1+written%700_001)
			if _, err := server.t.Write(pattern(written, n)); err != nil {
				w.t.Errorf("write at %d: %v", written, err)
			}
			if written += n; written == total {
				server.t.LoseConnection()
				return
			}
			if written%3 == 0 {
				w.after(time.Millisecond, more)
			} else if err := w.l.Call(more); err != nil {
				w.t.Errorf("call: %v", err)
			}
		}
		server.onMade = func(*peer) { more() }
		w.pair(loopback(), server, client, nil)
		w.until("both have ended", func() bool { return server.ended() && client.ended() })
		client.want(total)
	})
}

// nbio's DialAsync to a port where nobody listens calls back without an error.
func TestConnectToNobody(t *testing.T) {
	each(t, func(w *world) {
		ln := w.listen(loopback(), func(proactor.Handle, proactor.Address, proactor.Address) {})
		stopped := false
		ln.Stop().Then(func(struct{}, error) { stopped = true })
		w.until("the port is free", func() bool { return stopped })
		var result error
		done := false
		w.dial(ln.Addr(), w.peer("client"), nil, func(err error) { result, done = err, true })
		w.until("the attempt has ended", func() bool { return done })
		if !errors.Is(result, syscall.ECONNREFUSED) {
			w.t.Errorf("connecting to nobody: %v, want a refusal", result)
		}
	})
}

// gain leaves the descriptor of every closed connection open.
func TestShortConnectionsLeaveNothing(t *testing.T) {
	const connections = 200
	each(t, func(w *world) {
		before := w.l.Backend().Stats().Handles
		for range connections {
			server, client := w.peer("server"), w.peer("client")
			server.onData = func(p *peer) { p.t.LoseConnection() }
			client.onMade = func(p *peer) {
				if _, err := p.t.Write(pattern(0, 10)); err != nil {
					w.t.Errorf("client: %v", err)
				}
			}
			w.pair(loopback(), server, client, nil)
			w.until("both have ended", func() bool { return server.ended() && client.ended() })
		}
		w.until("all handles are closed", func() bool { return w.l.Backend().Stats().Handles == before })
	})
}

// gnet and evio remove whatever stands at the path of a unix socket, with
// everything below it.
func TestListenRemovesNothingButStaleSockets(t *testing.T) {
	for _, real := range backends.Real() {
		t.Run(real.Name, func(t *testing.T) {
			b := open(t, real)
			defer b.Close()
			dir := filepath.Join(t.TempDir(), "d")
			file := filepath.Join(dir, "precious")
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, []byte("data"), 0o600); err != nil {
				t.Fatal(err)
			}
			for _, at := range []string{dir, file} {
				if h, _, err := b.Listen(proactor.UnixAddress(at), nil); err == nil {
					t.Errorf("listening on %s, which is no socket, works: %v", at, h)
				}
			}
			if got, err := os.ReadFile(file); err != nil || string(got) != "data" {
				t.Errorf("the file beside holds %q, %v", got, err)
			}
		})
	}
}
