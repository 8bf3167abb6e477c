// Package csource has small servers in C that say what the kernel's interfaces
// cost at least: epoll, io_uring with raw system calls, splice, recvmmsg. They
// are compiled where a C compiler is. They are for speed only: they do not
// survive what a library must.
package csource

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

//go:embed c/*.c c/*.h
var files embed.FS

// ErrNoCompiler says that there is no C compiler.
var ErrNoCompiler = errors.New("no C compiler: install gcc or clang, or set CC")

// compileTime bounds the compiling of one program.
const compileTime = 60 * time.Second

// Programs returns the names of the servers.
func Programs() []string {
	return []string{"echo_epoll", "echo_uring", "proxy_splice", "proxy_uring", "udp_echo"}
}

// Compiler returns the path of the C compiler: $CC, cc, gcc or clang.
func Compiler() (string, error) {
	for _, name := range []string{os.Getenv("CC"), "cc", "gcc", "clang"} {
		if name == "" {
			continue
		}
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", ErrNoCompiler
}

// CacheDir returns the user's directory for what Build makes.
func CacheDir() (string, error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, "mobius", "bench"), nil
}

// Build returns the path of the executable of a program in dir, which it
// compiles first unless the same text was compiled there before. Several
// processes may do so at once.
func Build(ctx context.Context, dir, program string) (string, error) {
	cc, err := Compiler()
	if err != nil {
		return "", err
	}
	sum := sha256.New()
	fmt.Fprintln(sum, cc)
	for _, name := range []string{program + ".c", "net.h", "ring.h"} {
		text, err := files.ReadFile("c/" + name)
		if err != nil {
			return "", fmt.Errorf("csource: no program %q: %w", program, err)
		}
		sum.Write(text)
	}
	made := filepath.Join(dir, program+"-"+hex.EncodeToString(sum.Sum(nil))[:16])
	if info, err := os.Stat(made); err == nil && info.Mode()&0o111 != 0 {
		return made, nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	return made, compile(ctx, cc, dir, program, made)
}

// compile makes the executable aside, and moves it to its place when it is whole.
func compile(ctx context.Context, cc, dir, program, made string) error {
	work, err := os.MkdirTemp(dir, "build-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	source, err := fs.Sub(files, "c")
	if err == nil {
		err = os.CopyFS(work, source)
	}
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, compileTime)
	defer cancel()
	out := filepath.Join(work, program)
	text, err := exec.CommandContext(ctx, cc, "-O2", "-o", out, filepath.Join(work, program+".c")).CombinedOutput()
	if err != nil {
		return fmt.Errorf("csource: %s %s.c: %w: %.500s", cc, program, err, text)
	}
	return os.Rename(out, made)
}
