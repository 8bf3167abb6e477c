package control

import (
	"bufio"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"time"
)

// answerTime is how long a program may take for an answer. A profile's end waits
// for its last samples, which takes up to a fifth of a second.
const answerTime = 5 * time.Second

// A Client asks a program that has called [Serve]. One goroutine uses it.
type Client struct {
	to, from *os.File
	answers  *bufio.Reader
	theirs   []*os.File // the program's ends, until Started
}

// Prepare gives cmd, which is not yet started, the pipes. It must have no
// ExtraFiles. After cmd.Start, whatever it says, call Started.
func Prepare(cmd *exec.Cmd) (*Client, error) {
	in, to, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	from, out, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, in.Close(), to.Close())
	}
	cmd.ExtraFiles = []*os.File{in, out}
	return &Client{to: to, from: from, answers: bufio.NewReader(from), theirs: []*os.File{in, out}}, nil
}

// Started closes the program's ends of the pipes in this process.
func (c *Client) Started() {
	for _, f := range c.theirs {
		f.Close()
	}
	c.theirs = nil
}

// Close ends it. The program sees the end of its commands and goes on.
func (c *Client) Close() error {
	c.Started()
	return errors.Join(c.to.Close(), c.from.Close())
}

// Memory asks for the program's allocations.
func (c *Client) Memory() (Memory, error) {
	a, err := c.ask(Request{Do: "memory"})
	return a.Memory, err
}

// StartProfile has the program write a CPU profile into a file.
func (c *Client) StartProfile(path string) error {
	_, err := c.ask(Request{Do: "profile", Path: path})
	return err
}

// StopProfile ends the profile; its file is whole then.
func (c *Client) StopProfile() error {
	_, err := c.ask(Request{Do: "stop"})
	return err
}

func (c *Client) ask(r Request) (Answer, error) {
	var a Answer
	end := time.Now().Add(answerTime)
	if err := errors.Join(c.to.SetWriteDeadline(end), c.from.SetReadDeadline(end)); err != nil {
		return a, err
	}
	if err := json.NewEncoder(c.to).Encode(&r); err != nil { // as memoryRequest is written
		return a, err
	}
	line, err := c.answers.ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &a)
	}
	if err == nil && a.Error != "" {
		err = errors.New(a.Error)
	}
	return a, err
}
