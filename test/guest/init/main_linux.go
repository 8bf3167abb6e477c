//go:build linux

// Command init is the first process of a guest: it mounts what programs
// expect, brings two interfaces up, runs the jobs listed in /jobs, and
// powers the guest off.
//
// A job is a line "NAME SECONDS COMMAND…" with words separated by spaces.
// Around each job's output stand the lines "@@ begin NAME" and "@@ end NAME
// STATUS SECONDS", and at the end "@@ done STATUS", for test/guest/run to
// read off the serial console.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

func main() {
	if len(os.Args) > 2 && os.Args[1] == "forbid" {
		os.Exit(forbid(os.Args[2:]))
	}
	fmt.Println() // the firmware has left the console in the middle of a line
	status := 0
	if err := prepare(); err != nil {
		fmt.Println("init:", err)
		status = 1
	} else {
		status = runJobs("/jobs")
	}
	fmt.Printf("@@ done %d\n", status)
	unix.Sync()
	if err := unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF); err != nil {
		fmt.Println("init: power off:", err)
	}
}

// forbid runs a command while the sysctl kernel.io_uring_disabled forbids io_uring to
// everybody: "/init forbid COMMAND…", as a job. Kernels before 6.6 have no such sysctl.
func forbid(command []string) int {
	const sysctl = "/proc/sys/kernel/io_uring_disabled"
	if _, err := os.Stat(sysctl); errors.Is(err, os.ErrNotExist) {
		fmt.Println("this kernel has no such sysctl")
		return 0
	}
	if err := os.WriteFile(sysctl, []byte("2"), 0); err != nil {
		fmt.Println("init:", err)
		return 1
	}
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	err := cmd.Run()
	if e := os.WriteFile(sysctl, []byte("0"), 0); err == nil {
		err = e
	}
	if err != nil {
		fmt.Println("init:", err)
		return 1
	}
	return 0
}

func prepare() error {
	for _, m := range []struct{ kind, at string }{
		{"devtmpfs", "/dev"}, {"proc", "/proc"}, {"sysfs", "/sys"}, {"tmpfs", "/tmp"}, {"tmpfs", "/run"},
		{"devpts", "/dev/pts"},
	} {
		if err := os.MkdirAll(m.at, 0o755); err != nil {
			return err
		}
		if err := unix.Mount(m.kind, m.at, m.kind, 0, ""); err != nil && !errors.Is(err, unix.EBUSY) {
			return fmt.Errorf("mount %s: %w", m.at, err)
		}
	}
	if err := os.Symlink("/proc/self/fd", "/dev/fd"); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	limit := unix.Rlimit{Cur: 20000, Max: 20000} // as on the machine where the other tests run
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("setrlimit: %w", err)
	}
	if err := loopbackUp(); err != nil {
		return err
	}
	if err := userland(); err != nil {
		return err
	}
	return network()
}

// network adds an interface that multicasts in both families: loopback does not
// in IPv6.
func network() error {
	files, err := filepath.Glob("/modules/dummy-" + release() + ".ko*")
	if err != nil || len(files) != 1 {
		return fmt.Errorf("want one module dummy for %s: %v, %w", release(), files, err)
	}
	if err := load(files[0], "numdummies=1"); err != nil {
		return err
	}
	if err := command("/bin/ip link set dummy0 multicast on up"); err != nil {
		return err
	}
	return card()
}

// card brings a virtio network card up, if the kernel was told the address of
// one. Where there is no module the kernel has its part built in.
func card() error {
	line, err := os.ReadFile("/proc/cmdline")
	if err != nil {
		return err
	}
	_, address, ok := strings.Cut(string(line), " mobius.card=")
	if !ok {
		return nil
	}
	address = strings.Fields(address)[0]
	for _, name := range []string{"virtio_ring", "virtio", "virtio_pci_legacy_dev", "virtio_pci_modern_dev", "virtio_pci", "failover",
		"net_failover", "virtio_net"} {
		if files, _ := filepath.Glob("/modules/" + name + "-" + release() + ".ko*"); len(files) == 1 {
			if err := load(files[0], ""); err != nil {
				return err
			}
		}
	}
	again := time.NewTicker(100 * time.Millisecond)
	defer again.Stop()
	for range 100 { // the device is found a moment later
		if err = command("/bin/ip addr add " + address + " dev eth0"); err == nil {
			return command("/bin/ip link set eth0 up")
		}
		<-again.C
	}
	return err
}

func load(module, parameters string) error {
	f, err := os.Open(module)
	if err != nil {
		return err
	}
	defer f.Close()
	flags := 0
	if filepath.Ext(f.Name()) != ".ko" {
		flags = unix.MODULE_INIT_COMPRESSED_FILE
	}
	if err := unix.FinitModule(int(f.Fd()), parameters, flags); err != nil {
		return fmt.Errorf("module %s: %w", f.Name(), err)
	}
	return nil
}

func release() string {
	var u unix.Utsname
	_ = unix.Uname(&u)
	return unix.ByteSliceToString(u.Release[:])
}

func command(line string) error {
	words := strings.Fields(line)
	if out, err := exec.Command(words[0], words[1:]...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", line, err, out)
	}
	return nil
}

// userland gives busybox its names, and the machine its one user.
func userland() error {
	if err := command("/bin/busybox --install -s /bin"); err != nil {
		return err
	}
	if err := errors.Join(os.Chmod("/tmp", 0o1777), os.MkdirAll("/etc", 0o755), os.MkdirAll("/usr", 0o755),
		os.Symlink("/bin", "/usr/bin")); err != nil {
		return err
	}
	return os.WriteFile("/etc/passwd", []byte("root::0:0::/tmp:/bin/sh\n"), 0o644)
}

// loopbackUp does what "ip link set lo up" does (netdevice(7)).
func loopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("socket: %w", err)
	}
	defer unix.Close(fd)
	r, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	r.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, r); err != nil {
		return fmt.Errorf("lo up: %w", err)
	}
	return nil
}

// runJobs runs every job, one after the other, and returns how many failed.
func runJobs(list string) int {
	b, err := os.ReadFile(list)
	if err != nil {
		fmt.Println("init:", err)
		return 1
	}
	failed := 0
	for line := range strings.Lines(string(b)) {
		words := strings.Fields(line)
		if len(words) < 3 {
			continue
		}
		if status := runJob(words[0], words[1], words[2:]); status != 0 {
			failed++
		}
	}
	return failed
}

func runJob(name, limit string, command []string) int {
	seconds, err := strconv.Atoi(limit)
	if err != nil {
		fmt.Println("init:", err)
		return 1
	}
	fmt.Println("@@ begin", name)
	begin := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(seconds)*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Env = []string{"PATH=/bin", "HOME=/tmp", "TMPDIR=/tmp", "MOBIUS_STRICT=1", "MOBIUS_PATIENCE=240", "GOTRACEBACK=all"}
	cmd.Dir = "/tmp"
	status := 0
	if err := show(cmd); err != nil {
		fmt.Println("init:", err)
		status = 1
		if e := (*exec.ExitError)(nil); errors.As(err, &e) && e.ExitCode() > 0 {
			status = e.ExitCode()
		}
	}
	fmt.Printf("@@ end %s %d %.1f\n", name, status, time.Since(begin).Seconds())
	return status
}

// show runs cmd and prints its output, less the lines that only say that a
// test has begun: the console is slow.
func show(cmd *exec.Cmd) error {
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer r.Close()
	cmd.Stdout, cmd.Stderr = w, w
	if err := cmd.Start(); err != nil {
		_ = w.Close()
		return err
	}
	_ = w.Close() // the child's copy is the one that counts
	in := bufio.NewReader(r)
	for {
		line, err := in.ReadString('\n')
		if !strings.HasPrefix(line, "=== ") && line != "" {
			fmt.Print(line)
		}
		if errors.Is(err, io.EOF) {
			return cmd.Wait()
		}
		if err != nil {
			return err
		}
	}
}
