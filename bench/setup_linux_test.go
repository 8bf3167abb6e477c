//go:build linux

package bench

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"mobius/bench/servers"
)

// The test's own executable is the harness's program: its servers and loads,
// and the servers below that do something wrong.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case PeerCommand, LoadCommand:
			os.Exit(Main(os.Args[1:], func([]string) int { return 2 }, os.Stdin, os.Stdout))
		case "test-server":
			fmt.Fprintln(os.Stderr, testServer(os.Args[2], os.Args[3:]))
			os.Exit(3)
		}
	}
	os.Exit(m.Run())
}

// testServer is a server with one property.
func testServer(what string, args []string) error {
	switch what {
	case "dies": // while it is asked
		go func() {
			<-time.After(100 * time.Millisecond)
			fmt.Fprintln(os.Stderr, "the tests have killed me")
			os.Exit(3)
		}()
		return servers.Run(servers.Config{Kind: "echo", Address: args[0]})
	case "ends": // before it listens
		return fmt.Errorf("no mood to listen on %s", args[0])
	case "occupied": // the first time its port is taken
		f, err := os.OpenFile(args[1], os.O_CREATE|os.O_EXCL, 0o600)
		if err == nil {
			f.Close()
			return fmt.Errorf("listen %s: address already in use", args[0])
		}
		return servers.Run(servers.Config{Kind: "echo", Address: args[0]})
	case "never listens":
		select {}
	case "lies": // a byte of each answer is wrong
		l, err := net.Listen("tcp", args[0])
		for err == nil {
			var c net.Conn
			if c, err = l.Accept(); err == nil {
				go lie(c)
			}
		}
		return err
	case "mute":
		l, err := net.Listen("tcp", args[0])
		for err == nil {
			var c net.Conn
			if c, err = l.Accept(); err == nil {
				go io.Copy(io.Discard, c)
			}
		}
		return err
	case "limits": // says how many descriptors what it starts may have
		raiseDescriptors()
		cmd := exec.Command("/bin/sh", "-c", "ulimit -Sn; ulimit -Hn")
		cmd.Stdout = os.Stdout
		return cmd.Run()
	case "burns": // as many milliseconds of processor time as asked for, half of it in a child, and says so
		n, err := strconv.Atoi(args[0])
		if err != nil {
			return err
		}
		if len(args) == 1 {
			child := exec.Command(os.Args[0], "test-server", "burns", strconv.Itoa(n/2), "child")
			child.Stdout = os.Stdout
			if err := child.Start(); err != nil {
				return err
			}
			n /= 2
		}
		burned := make(chan struct{})
		go func() { // another thread than the main one
			defer close(burned)
			burn(time.Duration(n) * time.Millisecond)
		}()
		<-burned
		fmt.Println("burned")
		io.Copy(io.Discard, os.Stdin)
		return nil
	}
	return fmt.Errorf("no test server %q", what)
}

// lie echoes, but for the first byte of each piece.
func lie(c net.Conn) {
	buf := make([]byte, 4<<10)
	for {
		n, err := c.Read(buf)
		if err != nil {
			return
		}
		buf[0] ^= 1
		if _, err := c.Write(buf[:n]); err != nil {
			return
		}
	}
}

// burn uses processor time.
func burn(d time.Duration) {
	me := tree{os.Getpid()}
	for end := me.spent().total + d; me.spent().total < end; {
	}
}

// testPeer returns one of the servers above as an echo.
func testPeer(what string, more ...string) Peer {
	return Peer{Name: what, Kinds: []string{KindEcho}, Loops: 1, Command: func(at Place) ([]string, error) {
		return append([]string{os.Args[0], "test-server", what, at.Address}, more...), nil
	}}
}

// short returns options for samples that are as short as can be.
func short(t *testing.T, cases string, peers ...string) Options {
	t.Helper()
	return Options{
		Cases: mustCases(cases), Peers: peers, Rounds: 1, Duration: 50 * time.Millisecond, Warmup: 5 * time.Millisecond,
		CacheDir: cacheDir(t),
	}
}

// compiled is where that is, whatever TMPDIR a test sets.
var compiled = filepath.Join(os.TempDir(), "mobius-bench-test-"+strconv.Itoa(os.Getuid()))

// cacheDir returns where all tests of this machine keep their C servers.
func cacheDir(t *testing.T) string {
	t.Helper()
	if _, err := exec.LookPath("cc"); err != nil {
		return t.TempDir()
	}
	return compiled
}
