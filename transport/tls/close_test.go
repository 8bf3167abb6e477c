package tls

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"mobius/loop"
	"mobius/proactor"
	"mobius/transport"
)

// versions runs a test on every backend with each version of TLS.
func versions(t *testing.T, f func(t *testing.T, s *scene)) {
	for _, v := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(tls.VersionName(v), func(t *testing.T) {
			each(t, func(s *scene) {
				s.client.MinVersion, s.client.MaxVersion = v, v
				f(t, s)
			})
		})
	}
}

// After LoseWriteConnection the peer sees the end of the stream, and may go on
// writing for as long as it likes.
func TestHalfClose(t *testing.T) {
	versions(t, func(t *testing.T, s *scene) {
		server, client := s.both()
		reply := pattern(200_000)
		server.onRead = func(r *rec) {
			r.write(string(reply))
			r.t.LoseWriteConnection()
		}
		client.onShaken = func(r *rec) {
			r.write("the question")
			r.t.LoseWriteConnection()
			if _, err := r.t.Write([]byte("more")); !errors.Is(err, net.ErrClosed) {
				t.Errorf("Write after LoseWriteConnection: %v", err)
			}
		}
		s.pair(half{server}, half{client})
		s.until("both ends", func() bool { return server.lost() && client.lost() })
		if server.got.String() != "the question" || !bytes.Equal(client.got.Bytes(), reply) {
			t.Errorf("the server has %d bytes, the client %d", server.got.Len(), client.got.Len())
		}
		for _, r := range s.recs {
			if r.kind() != transport.Done || !errors.Is(r.err, io.EOF) {
				t.Errorf("%s: %v", r.name, r.err)
			}
		}
		if got := client.story(); got != "made shaken write-lost data read-lost lost" {
			t.Errorf("client: %s", got)
		}
		if got := server.story(); got != "made shaken data read-lost write-lost lost" {
			t.Errorf("server: %s", got)
		}
	})
}

// cut returns the transport below a rec's TLS, for improper ways to end it.
func (s *scene) cut(r *rec) transport.Transport {
	c, ok := r.t.(*Conn)
	if !ok {
		s.Fatalf("%s has a %T", r.name, r.t)
	}
	return c.y.below
}

// An end without close_notify is a loss, for a HalfCloser too; what came before
// is delivered.
func TestTruncation(t *testing.T) {
	versions(t, func(t *testing.T, s *scene) {
		server, client := s.both()
		s.pair(half{server}, client)
		s.until("the handshake", func() bool { return client.shaken() && server.shaken() })
		client.write("some")
		s.until("it is delivered", func() bool { return server.got.String() == "some" })
		s.cut(client).LoseConnection()
		s.until("the server's end", server.lost)
		server.ended(transport.Lost, "read")
		if !errors.Is(server.err, io.ErrUnexpectedEOF) || server.story() != "made shaken data lost" {
			t.Errorf("%v; %s", server.err, server.story())
		}
	})
}

// The same in the middle of a record.
func TestTruncatedRecord(t *testing.T) {
	each(t, func(s *scene) {
		server, client := s.both()
		s.pair(server, client)
		s.until("the handshake", func() bool { return client.shaken() && server.shaken() })
		s.cut(client).Write([]byte{23, 3, 3, 0, 100, 1, 2, 3})
		s.cut(client).LoseConnection()
		s.until("the server's end", server.lost)
		server.ended(transport.Lost, "read")
	})
}

// What does not decrypt ends the connection, and the peer is told by an alert.
func TestForgery(t *testing.T) {
	versions(t, func(t *testing.T, s *scene) {
		server, client := s.both()
		s.pair(server, client)
		s.until("the handshake", func() bool { return client.shaken() && server.shaken() })
		s.cut(client).Write(append([]byte{23, 3, 3, 0, 100}, make([]byte, 100)...))
		s.until("both ends", func() bool { return server.lost() && client.lost() })
		server.ended(transport.Lost, "read")
		client.ended(transport.Lost, "read")
		var alert *net.OpError
		if !errors.As(client.err, &alert) || alert.Op != "remote error" {
			t.Errorf("the client was told %v", client.err)
		}
		if server.got.Len() != 0 {
			t.Errorf("forged bytes were delivered")
		}
	})
}

// A record larger than any may be is refused by its header.
func TestOversizedRecord(t *testing.T) {
	each(t, func(s *scene) {
		server, client := s.both()
		s.pair(server, client)
		s.until("the handshake", func() bool { return client.shaken() && server.shaken() })
		s.cut(client).Write([]byte{23, 3, 3, 0xff, 0xff})
		s.until("the server's end", server.lost)
		server.ended(transport.Lost, "read")
	})
}

// A close with much output delivers all of it, whatever the peer's pace.
func TestLoseConnectionFlushes(t *testing.T) {
	each(t, func(s *scene) {
		s.below.HighWater = 1000
		server, client := s.both()
		want := pattern(1 << 20)
		server.onShaken = func(r *rec) {
			r.write(string(want))
			r.t.LoseConnection()
			if _, err := r.t.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
				t.Errorf("Write after LoseConnection: %v", err)
			}
		}
		client.onData = func(r *rec) {
			r.t.PauseReading()
			s.l.Start(&loop.Timer{Func: r.t.ResumeReading}, time.Millisecond)
		}
		s.pair(server, client)
		s.until("both ends", func() bool { return server.lost() && client.lost() })
		if !bytes.Equal(client.got.Bytes(), want) {
			t.Errorf("%d of %d bytes came", client.got.Len(), len(want))
		}
		server.ended(transport.Done, "close")
		client.ended(transport.Done, "read")
	})
}

// A peer that does not read cannot keep a connection that is being closed.
func TestCloseDeadline(t *testing.T) {
	each(t, func(s *scene) {
		s.below.CloseTimeout = 100 * time.Millisecond
		server, client := s.both()
		s.pair(server, client)
		s.until("the handshake", func() bool { return client.shaken() && server.shaken() })
		s.cut(client).PauseReading()
		server.write(string(pattern(16 << 20)))
		server.t.LoseConnection()
		s.until("the server's end", server.lost)
		server.ended(transport.TimedOut, "close")
		s.cut(client).AbortConnection()
	})
}

// A half-closed connection on which nothing moves ends.
func TestHalfClosedDeadline(t *testing.T) {
	each(t, func(s *scene) {
		s.below.HalfClosedTimeout = 50 * time.Millisecond
		server, client := s.both()
		s.pair(half{server}, half{client})
		s.until("the handshake", func() bool { return client.shaken() && server.shaken() })
		client.t.LoseWriteConnection()
		s.until("both ends", func() bool { return server.lost() && client.lost() })
		if server.kind() != transport.TimedOut && client.kind() != transport.TimedOut {
			t.Errorf("%v, %v", server.err, client.err)
		}
	})
}

// A peer that has sent its close_notify, and keeps its socket open, keeps no
// connection here: neither one that answers to that by its own end nor one that
// ends later.
func TestSocketLeftOpenAfterCloseNotify(t *testing.T) {
	for name, later := range map[string]bool{"at once": false, "later": true} {
		t.Run(name, func(t *testing.T) {
			each(t, func(s *scene) {
				s.below.CloseTimeout, s.below.HalfClosedTimeout = time.Hour, time.Hour
				server, client := s.both()
				var p transport.Protocol = server
				if later {
					p = half{server}
				}
				s.pair(p, half{client})
				s.until("the handshake", func() bool { return client.shaken() && server.shaken() })
				y := client.t.(*Conn).y
				y.flags |= busy
				if err := y.tc.CloseWrite(); err != nil {
					t.Error(err)
				}
				y.flags &^= busy
				if later {
					s.until("the end of its stream", func() bool { return strings.Contains(server.story(), "read-lost") })
					server.write("the last word")
					server.t.LoseWriteConnection()
				}
				s.until("the server's end", server.lost)
				server.ended(transport.Done, "read")
				s.until("the client's end", func() bool { return client.lost() || strings.Contains(client.story(), "read-lost") })
				if later && client.got.String() != "the last word" {
					t.Errorf("the client got %q", client.got.String())
				}
				s.cut(client).AbortConnection()
			})
		})
	}
}

// Detach is refused, whoever asks, and changes nothing.
func TestDetach(t *testing.T) {
	each(t, func(s *scene) {
		server, client := s.both()
		echo(server)
		s.pair(server, client)
		s.until("the handshake", client.shaken)
		err := client.t.Detach(func(proactor.Handle, []byte, error) { t.Error("done was called") })
		if err != ErrDetach {
			t.Errorf("Detach: %v", err)
		}
		client.write("on")
		s.until("it goes on", func() bool { return client.got.Len() == 2 })
	})
}

// CloseWithError's reason comes with the end, after the output.
func TestCloseWithError(t *testing.T) {
	each(t, func(s *scene) {
		server, client := s.both()
		why := errors.New("no more")
		client.onShaken = func(r *rec) { r.write("last"); r.t.CloseWithError(why) }
		s.pair(server, client)
		s.until("both ends", func() bool { return server.lost() && client.lost() })
		client.ended(transport.Failed, "close")
		if !errors.Is(client.err, why) || server.got.String() != "last" {
			t.Errorf("%v; the server has %q", client.err, server.got.String())
		}
	})
}

// A panic in any callback is the reason of its connection's end, and of no
// other.
func TestPanics(t *testing.T) {
	each(t, func(s *scene) {
		for _, where := range []string{"shaken", "data", "read"} {
			server, client := s.both()
			server.onData = func(*rec) {}
			boom := func(*rec) { panic("boom") }
			switch where {
			case "shaken":
				server.onShaken = boom
			case "data":
				server.onData = boom
			case "read":
				server.onRead = boom
			}
			client.onShaken = func(r *rec) { r.write("x"); r.t.LoseWriteConnection() }
			s.pair(half{server}, half{client})
			s.until("both ends", func() bool { return server.lost() && client.lost() })
			server.ended(transport.Panicked, "protocol")
			if all := s.TakeTroubles(); len(all) != 1 || all[0].Value != "boom" {
				t.Errorf("%s: reported %v", where, all)
			}
		}
	})
}
