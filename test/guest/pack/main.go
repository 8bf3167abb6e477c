// Command pack writes the files of a directory as an initramfs: a cpio archive
// in the "newc" form that the kernel unpacks (its
// Documentation/driver-api/early-userspace/buffer-format.rst), compressed with
// gzip.
//
//	pack DIR > initramfs.gz
package main

import (
	"bufio"
	"compress/gzip"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: pack DIR > initramfs.gz")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "pack:", err)
		os.Exit(1)
	}
}

func run(dir string, to io.Writer) error {
	buffered := bufio.NewWriter(to)
	z, err := gzip.NewWriterLevel(buffered, gzip.BestSpeed)
	if err != nil {
		return err
	}
	a := archive{w: z}
	err = filepath.WalkDir(dir, func(at string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, at)
		if err != nil || rel == "." {
			return err
		}
		return a.add(at, filepath.ToSlash(rel), d)
	})
	if err != nil {
		return err
	}
	if err := a.entry("TRAILER!!!", 0, nil); err != nil {
		return err
	}
	if err := z.Close(); err != nil {
		return err
	}
	return buffered.Flush()
}

type archive struct {
	w     io.Writer
	inode int
}

func (a *archive) add(at, name string, d fs.DirEntry) error {
	const directory, regular = 0o040755, 0o100755
	if d.IsDir() {
		return a.entry(name, directory, nil)
	}
	data, err := os.ReadFile(at)
	if err != nil {
		return err
	}
	return a.entry(name, regular, data)
}

// entry writes one header, name and body, each padded to four bytes.
func (a *archive) entry(name string, mode int, data []byte) error {
	a.inode++
	header := "070701"
	for _, field := range []int{a.inode, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0} {
		header += fmt.Sprintf("%08X", field)
	}
	head := header + name + "\x00"
	if _, err := io.WriteString(a.w, head+padding(len(head))); err != nil {
		return err
	}
	if _, err := a.w.Write(data); err != nil {
		return err
	}
	_, err := io.WriteString(a.w, padding(len(data)))
	return err
}

func padding(n int) string { return "\x00\x00\x00"[:(4-n%4)%4] }
