package protocols

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"mobius"
	"mobius/proactor"
	"mobius/transport"
)

func TestLinesOverAConnection(t *testing.T) {
	var r *reader
	each(t, func() mobius.Protocol {
		r = &reader{on: func(r *reader, line string) { _ = r.t.SendFrame([]byte("<" + line + ">")) }}
		return Frames(Lines("", 0), r)
	}, func(k *link) {
		k.send("one\r\ntwo\r")
		k.Until("the first line", func() bool { return len(r.got) == 1 })
		k.send("\nthree\r\nfo")
		want := "<one>\r\n<two>\r\n<three>\r\n"
		k.Until("the echo", func() bool { return len(k.peer.got) >= len(want) })
		if string(k.peer.got) != want {
			k.Errorf("the peer got %q, want %q", k.peer.got, want)
		}
		k.peer.t.LoseConnection()
		k.Until("the end", func() bool { return r.lost != nil })
		if len(r.got) != 3 {
			k.Errorf("an incomplete line was delivered: %q", r.got)
		}
	})
}

// What has been received already is not delivered while the protocol is
// paused, and comes after the resume, before what is received later.
func TestPauseInsideAMessage(t *testing.T) {
	var r *reader
	each(t, func() mobius.Protocol {
		r = &reader{on: func(r *reader, line string) { r.t.PauseReading() }}
		return Frames(Lines("\n", 0), r)
	}, func(k *link) {
		k.send("a\nb\nc\n")
		for i, want := range []string{"a", "b", "c", "d"} {
			if i == 3 {
				k.send("d\n")
				r.t.ResumeReading()
			}
			k.Until("message "+want, func() bool { return len(r.got) > i })
			k.Pass(k.l, 10*time.Millisecond)
			if got := strings.Join(r.got, ""); got != "abcd"[:i+1] {
				k.Fatalf("got %q after message %d", got, i)
			}
			if i < 2 {
				r.t.ResumeReading()
			}
		}
	})
}

// A resume inside the message that paused is as if nothing had been.
func TestResumeInsideTheMessage(t *testing.T) {
	var r *reader
	each(t, func() mobius.Protocol {
		r = &reader{on: func(r *reader, line string) { r.t.PauseReading(); r.t.ResumeReading() }}
		return Frames(Lines("\n", 0), r)
	}, func(k *link) {
		k.send("a\nb\nc\nd")
		k.Until("three messages", func() bool { return len(r.got) == 3 })
		k.send("\n")
		k.Until("the fourth", func() bool { return len(r.got) == 4 })
	})
}

// After a close nothing that was received before it is delivered.
func TestCloseInsideAMessage(t *testing.T) {
	closes := map[string]func(t FrameTransport){
		"lose":  func(t FrameTransport) { t.LoseConnection() },
		"abort": func(t FrameTransport) { t.AbortConnection() },
		"error": func(t FrameTransport) { t.CloseWithError(errors.New("enough")) },
	}
	for name, end := range closes {
		t.Run(name, func(t *testing.T) {
			var r *reader
			each(t, func() mobius.Protocol {
				r = &reader{on: func(r *reader, line string) { end(r.t) }}
				return Frames(Lines("\n", 0), r)
			}, func(k *link) {
				k.send("a\nb\nc\n")
				k.Until("the end", func() bool { return r.lost != nil })
				if len(r.got) != 1 {
					k.Errorf("got %q after the close", r.got)
				}
			})
		})
	}
}

func TestRawAndBack(t *testing.T) {
	var r *rawReader
	each(t, func() mobius.Protocol {
		r = &rawReader{}
		r.on = func(_ *reader, line string) {
			if line == "raw 5" {
				r.t.SetRaw()
			}
		}
		r.onRaw = func(r *rawReader) {
			if n := len(r.raw); n >= 5 {
				extra := slices.Clone(r.raw[5:])
				r.raw = r.raw[:5]
				r.t.SetFraming(nil, extra)
			}
		}
		return Frames(Lines("\n", 0), r)
	}, func(k *link) {
		k.send("x\nraw 5\nab\ncdy\nz\n")
		k.Until("the last line", func() bool { return slices.Contains(r.got, "z") })
		if got := strings.Join(r.got, ","); got != "x,raw 5,y,z" || string(r.raw) != "ab\ncd" {
			k.Errorf("lines %q, raw %q", got, r.raw)
		}
	})
}

// What SetFraming is given inside a message stands before what was received
// behind that message.
func TestExtraComesBeforeTheRest(t *testing.T) {
	var r *reader
	each(t, func() mobius.Protocol {
		r = &reader{on: func(r *reader, line string) {
			if line == "a" {
				r.t.SetFraming(nil, []byte("x\ny"))
			}
		}}
		return Frames(Lines("\n", 0), r)
	}, func(k *link) {
		k.send("a\nb\nc\n")
		k.Until("the last message", func() bool { return slices.Contains(r.got, "c") })
		if got := strings.Join(r.got, ","); got != "a,x,yb,c" {
			k.Errorf("got %s", got)
		}
	})
}

func TestSetRawNeedsARawReceiver(t *testing.T) {
	var r *reader
	each(t, func() mobius.Protocol {
		r = &reader{on: func(r *reader, line string) {
			defer func() {
				if recover() == nil {
					r.got = append(r.got, "no panic")
				}
			}()
			r.t.SetRaw()
		}}
		return Frames(Lines("\n", 0), r)
	}, func(k *link) {
		k.send("a\n")
		k.Until("a message", func() bool { return len(r.got) > 0 })
		if len(r.got) != 1 {
			k.Error("SetRaw of a protocol without RawReceived did not panic")
		}
	})
}

// A protocol may change the framing from outside a message.
func TestSetFramingLater(t *testing.T) {
	var r *reader
	each(t, func() mobius.Protocol {
		r = &reader{made: func(r *reader) { r.t.PauseReading() }}
		return Frames(Lines("\n", 0), r)
	}, func(k *link) {
		k.send("\x02cd")
		k.Pass(k.l, 10*time.Millisecond)
		r.t.SetFraming(Prefixed(1, 0), []byte("\x02ab"))
		r.t.ResumeReading()
		k.Until("both messages", func() bool { return len(r.got) == 2 })
		if r.got[0] != "ab" || r.got[1] != "cd" {
			k.Errorf("got %q", r.got)
		}
	})
}

func TestTooLongEndsTheConnection(t *testing.T) {
	for name, c := range map[string]struct {
		f    Framing
		text string
		want error
	}{
		"line":       {Lines("\n", 4), "abcde\nx\n", ErrTooLong},
		"no end":     {Lines("\n", 4), "abcdefgh", ErrTooLong},
		"prefixed":   {Prefixed(2, 4), "\x00\x05", ErrTooLong},
		"netstring":  {Netstrings(4), "5:", ErrTooLong},
		"no number":  {Netstrings(4), "x", ErrMalformed},
		"no comma":   {Netstrings(4), "1:ab", ErrMalformed},
		"many zeros": {Netstrings(4), "00:,", ErrMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			var r *reader
			each(t, func() mobius.Protocol {
				r = &reader{}
				return Frames(c.f, r)
			}, func(k *link) {
				k.send(c.text)
				k.Until("the end", func() bool { return r.lost != nil })
				var e *mobius.ConnError
				if !errors.Is(r.lost, c.want) || !errors.As(r.lost, &e) || e.Kind != mobius.Failed || len(r.got) > 0 {
					k.Errorf("lost with %v after %q, want %v", r.lost, r.got, c.want)
				}
			})
		})
	}
}

// A rejecter is told what did not fit, and may go on.
type rejecter struct {
	rawReader
	rejected []string
}

func (r *rejecter) FrameRejected(p []byte, err error) {
	r.rejected = append(r.rejected, string(p))
	r.t.SetRaw()
}

func TestRejectedMessageMayBeSkipped(t *testing.T) {
	var r *rejecter
	each(t, func() mobius.Protocol {
		r = &rejecter{}
		r.onRaw = func(raw *rawReader) {
			if at := strings.IndexByte(string(raw.raw), '\n'); at >= 0 {
				raw.t.SetFraming(nil, raw.raw[at+1:])
			}
		}
		return Frames(Lines("\n", 4), r)
	}, func(k *link) {
		k.send("ab\nabcdefg")
		k.Until("the rejection", func() bool { return len(r.rejected) > 0 })
		k.send("hij\ncd\n")
		k.Until("the next line", func() bool { return slices.Contains(r.got, "cd") })
		if len(r.rejected) != 1 || r.rejected[0] != "abcdefg" {
			k.Errorf("rejected %q", r.rejected)
		}
	})
}

func TestDetachHandsOverWhatWasKept(t *testing.T) {
	var r *reader
	each(t, func() mobius.Protocol {
		r = &reader{on: func(r *reader, line string) { r.t.PauseReading() }}
		return Frames(Lines("\n", 0), r)
	}, func(k *link) {
		k.send("a\nb\nc")
		k.Until("a message", func() bool { return len(r.got) > 0 })
		var rest string
		err := r.t.Detach(func(h proactor.Handle, unread []byte, err error) {
			rest = string(unread)
			if err == nil {
				err = k.l.Sockets().CloseFD(h)
			}
			if err != nil {
				k.Error(err)
			}
		})
		if err != nil {
			k.Fatal(err)
		}
		k.Until("detached", func() bool { return r.lost != nil && rest != "" })
		if rest != "b\nc" {
			k.Errorf("Detach handed over %q", rest)
		}
	})
}

func TestAbilitiesAreFoundThroughFrames(t *testing.T) {
	p := Frames(Lines("", 0), &drained{})
	if _, ok := transport.As[mobius.Drainer](p); !ok {
		t.Error("the protocol's Drainer is not found through Frames")
	}
}

type drained struct{ reader }

func (*drained) PauseWriting()  {}
func (*drained) ResumeWriting() {}

// A stream hands over what it has kept itself, behind what it has delivered.
type stream struct {
	mobius.Transport
	unread []byte
}

func (s *stream) PauseReading() {}

func (s *stream) Detach(done func(proactor.Handle, []byte, error)) error {
	done(1, s.unread, nil)
	return nil
}

// What was kept of a stream comes before what the stream has kept.
func TestDetachKeepsTheOrder(t *testing.T) {
	r := &reader{on: func(r *reader, _ string) { r.t.PauseReading() }}
	p := Frames(Lines("\n", 0), r)
	p.ConnectionMade(&stream{unread: []byte("d\ne")})
	p.DataReceived([]byte("a\nb\nc"))
	rest := ""
	if err := r.t.Detach(func(_ proactor.Handle, unread []byte, _ error) { rest = string(unread) }); err != nil {
		t.Fatal(err)
	}
	if len(r.got) != 1 || rest != "b\ncd\ne" {
		t.Errorf("after %q Detach hands over %q", r.got, rest)
	}
}

// What was searched of one message says nothing of the next.
func TestEachMessageIsSearchedFromItsBeginning(t *testing.T) {
	r := &reader{}
	p := Frames(Lines("\n", 0), r)
	p.ConnectionMade(&stream{})
	for _, piece := range []string{"abcd", "\nx\ny\n"} {
		p.DataReceived([]byte(piece))
	}
	if len(r.got) != 3 || r.got[0] != "abcd" || r.got[1] != "x" || r.got[2] != "y" {
		t.Errorf("got %q", r.got)
	}
}

// What SetFraming is given outside a message stands before what was kept.
func TestExtraComesBeforeWhatWasKept(t *testing.T) {
	var r *reader
	each(t, func() mobius.Protocol {
		r = &reader{on: func(r *reader, _ string) { r.t.PauseReading() }}
		return Frames(Lines("\n", 0), r)
	}, func(k *link) {
		k.send("a\n\x02cd")
		k.Until("a message", func() bool { return len(r.got) == 1 })
		k.Pass(k.l, 10*time.Millisecond)
		r.t.SetFraming(Prefixed(1, 0), []byte("\x02xy"))
		r.on = nil
		r.t.ResumeReading()
		k.Until("both messages", func() bool { return len(r.got) == 3 })
		if r.got[1] != "xy" || r.got[2] != "cd" {
			k.Errorf("got %q", r.got)
		}
	})
}
