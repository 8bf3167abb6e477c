// Package control lets the harness ask a program that it measures how much it
// has allocated, and have it write a profile. It costs nothing while nobody
// asks: a goroutine in read(2) on a pipe, and no poller.
//
// A program written in Go takes part by calling [Serve] at its start. The
// commands are lines of JSON on descriptor 3, the answers on descriptor 4:
//
//	{"do":"memory"}                      {"mallocs":12345,"gcs":3}
//	{"do":"profile","path":"cpu.pprof"}  {}
//	{"do":"stop"}                        {}  the profile is whole
//
// An answer with "error" says why something could not be done.
package control

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/pprof"
	"strconv"
)

// A Request is a command.
type Request struct {
	Do   string `json:"do"`             // memory, profile or stop
	Path string `json:"path,omitempty"` // of the profile
}

// An Answer is what comes back.
type Answer struct {
	Memory
	Error string `json:"error,omitempty"`
}

// Memory is what matters of runtime.MemStats.
type Memory struct {
	Mallocs uint64 `json:"mallocs,omitempty"` // heap objects allocated since the start
	GCs     uint64 `json:"gcs,omitempty"`     // collections since the start
}

// Serve answers on descriptors 3 and 4, from another goroutine, until the other
// side is gone. Who calls it must have been started by the harness, or with
// such pipes.
func Serve() { go serve(os.NewFile(3, "control"), os.NewFile(4, "control")) }

// memoryRequest is answered without allocating, so that two answers differ by
// what the program did between them.
const memoryRequest = `{"do":"memory"}`

func serve(in io.Reader, out io.Writer) {
	var s server
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		var err error
		if string(lines.Bytes()) == memoryRequest {
			_, err = out.Write(s.memory())
		} else {
			err = json.NewEncoder(out).Encode(s.answer(lines.Bytes()))
		}
		if err != nil {
			return
		}
	}
}

type server struct {
	profile *os.File
	stats   runtime.MemStats
	text    [96]byte
}

func (s *server) memory() []byte {
	runtime.ReadMemStats(&s.stats)
	p := append(s.text[:0], `{"mallocs":`...)
	p = strconv.AppendUint(p, s.stats.Mallocs, 10)
	p = append(p, `,"gcs":`...)
	p = strconv.AppendUint(p, uint64(s.stats.NumGC), 10)
	return append(p, "}\n"...)
}

func (s *server) answer(line []byte) (a Answer) {
	var r Request
	err := json.Unmarshal(line, &r)
	if err == nil {
		err = s.do(&r)
	}
	if err != nil {
		a.Error = err.Error()
	}
	return a
}

func (s *server) do(r *Request) error {
	switch r.Do {
	case "profile":
		f, err := os.Create(r.Path)
		if err != nil {
			return err
		}
		if err := pprof.StartCPUProfile(f); err != nil {
			return errors.Join(err, f.Close())
		}
		s.profile = f
		return nil
	case "stop":
		if s.profile == nil {
			return errors.New("control: no profile was begun")
		}
		pprof.StopCPUProfile()
		err := s.profile.Close()
		s.profile = nil
		return err
	}
	return fmt.Errorf("control: %q, want memory, profile or stop", r.Do)
}
