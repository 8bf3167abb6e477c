//go:build linux

package sys

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mobius/internal/testenv"
)

// tableSize returns how many descriptors the process's table holds, as
// proc_pid_status(5) says.
func tableSize(t *testing.T) int {
	t.Helper()
	f, err := os.Open("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if text, ok := strings.CutPrefix(s.Text(), "FDSize:"); ok {
			var n int
			if _, err := fmt.Sscan(text, &n); err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatal("no FDSize in /proc/self/status")
	return 0
}

// A burst of accepts must not wait for the kernel to grow the table.
func TestTableOfDescriptorsGrowsBeforeItIsFull(t *testing.T) {
	var table fdTable
	table.used(1 << 20) // nobody listens: nothing happens
	if table.size != 0 {
		t.Fatalf("size %d before begin", table.size)
	}
	table.begin()
	if table.size != firstTable {
		testenv.Missing(t, "the limit on descriptors (ulimit -n) is below %d", firstTable)
	}
	if got := tableSize(t); got < firstTable {
		t.Fatalf("the table holds %d descriptors after begin, want %d", got, firstTable)
	}
	table.used(firstTable/4 - 1)
	if table.size != firstTable {
		t.Fatalf("grown to %d with a quarter less one in use", table.size)
	}
	table.used(firstTable / 4)
	if table.size != 4*firstTable {
		t.Fatalf("size %d with a quarter in use, want %d", table.size, 4*firstTable)
	}
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil || limit.Cur < 4*firstTable {
		t.Skipf("the limit on descriptors is %d, %v: below %d", limit.Cur, err, 4*firstTable)
	}
	testenv.Eventually(t, 10*time.Second, "the table has grown", func() bool { return tableSize(t) >= 4*firstTable })
}

func TestTableOfDescriptorsBeyondTheLimitIsLeftAlone(t *testing.T) {
	before := tableSize(t)
	if growTable(1<<30 - 1) {
		t.Fatal("grown beyond the limit on descriptors")
	}
	if after := tableSize(t); after != before {
		t.Fatalf("the table went from %d to %d", before, after)
	}
}
