package load

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
)

// A message is a line of what a load's process says, as JSON.
type message struct {
	Event  string  `json:"event"`
	Error  string  `json:"error,omitempty"`
	Result *Result `json:"result,omitempty"`
}

// The events, in this order. After ready and end the load waits for a line.
const (
	eventReady  = "ready"  // all connections stand
	eventBegin  = "begin"  // the measured time begins
	eventEnd    = "end"    // it is over; the connections still stand
	eventResult = "result" // what was seen
	eventError  = "error"  // instead of all that would have followed
)

// A talk is the load's side of the conversation with who started it.
type talk struct {
	in  *bufio.Reader
	out *json.Encoder
}

func (t *talk) say(event string) error { return t.out.Encode(message{Event: event}) }

// ask says event, and waits until it is told to go on.
func (t *talk) ask(event string) error {
	if err := t.say(event); err != nil {
		return err
	}
	_, err := t.in.ReadString('\n')
	return err
}

// Main is the program of a load's process: it reads a [Spec] as one line of
// JSON from in, does what a [Process] expects of it, and ends. It returns the
// process's exit status.
func Main(in io.Reader, out io.Writer) int {
	// A collection would be a pause that looks like the server's. What a load
	// allocates it allocates before the measured time, but for TLS: there a
	// collection comes after each 256 MiB.
	debug.SetGCPercent(-1)
	debug.SetMemoryLimit(256 << 20)
	return converse(in, out)
}

// converse is Main without the process.
func converse(in io.Reader, out io.Writer) int {
	t := &talk{in: bufio.NewReader(in), out: json.NewEncoder(out)}
	var spec Spec
	line, err := t.in.ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &spec)
	}
	if err == nil {
		err = spec.Check()
	}
	if err != nil {
		_ = t.out.Encode(message{Event: eventError, Error: err.Error()})
		return 1
	}
	res, err := run(&spec, t)
	if err != nil {
		if !errors.Is(err, io.EOF) {
			_ = t.out.Encode(message{Event: eventError, Error: err.Error()})
		}
		return 1
	}
	if t.out.Encode(message{Event: eventResult, Result: res}) != nil {
		return 1
	}
	return 0
}

// errClosed is the end of a connection that the server closed.
func errClosed(conn int, cause error) error {
	if cause == nil {
		return fmt.Errorf("load: the server closed connection %d", conn)
	}
	return fmt.Errorf("load: connection %d: %w", conn, cause)
}
