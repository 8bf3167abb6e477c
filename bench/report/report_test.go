package report

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/pprof/profile"

	"mobius/bench/result"
)

// sampleOf returns a sample with all figures; cost is that of a request.
func sampleOf(round int, cost time.Duration) result.Sample {
	user, system, n := cost*250, cost*750, uint64(0)
	each := int64(5000)
	h := result.NewHistogram()
	h.Record(cost*10, 990)
	h.Record(cost*100, 10)
	return result.Sample{Round: round, Requests: 1000, Elapsed: time.Second, User: &user, System: &system, Mallocs: &n, Latency: h,
		AddedDescriptors: &each, AddedResident: &each}
}

func peerOf(name string, costs ...time.Duration) result.Peer {
	p := result.Peer{Name: name, Kind: "echo"}
	for i, c := range costs {
		p.Rounds = append(p.Rounds, sampleOf(i+1, c))
	}
	return p
}

func reportOf(cases ...result.Case) *result.Report {
	return &result.Report{Version: result.Version, Go: "go1", Rounds: 6, Cases: cases,
		Machine: result.Machine{CPU: "a CPU", CPUs: 2, Kernel: "Linux 6"}}
}

func echo(conns int, peers ...result.Peer) result.Case {
	return result.Case{Workload: "echo", Conns: conns, Size: 64, Depth: 1, Peers: peers}
}

func steady(d time.Duration) []time.Duration {
	return []time.Duration{d, d + 10, d + 20, d - 10, d - 20, d + 5}
}

func page(t *testing.T, r *result.Report, p Page) string {
	t.Helper()
	var b bytes.Buffer
	if err := HTML(&b, r, p); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

const hostile = `<script>alert(1)</script>"'&`

// pictures checks that all SVG of a page is well formed, and returns how many there are.
func pictures(t *testing.T, text string) int {
	t.Helper()
	all := regexp.MustCompile(`(?s)<svg.*?</svg>`).FindAllString(text, -1)
	for _, one := range all {
		d := xml.NewDecoder(strings.NewReader(one))
		for {
			if _, err := d.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("%v in %.300s", err, one)
			}
		}
		if strings.Contains(one, "NaN") || strings.Contains(one, "Inf") {
			t.Errorf("a place that is no number in %.300s", one)
		}
	}
	return len(all)
}

func TestHostileNames(t *testing.T) {
	c := echo(50, peerOf(hostile, steady(1000)...), peerOf("net", steady(2000)...))
	c.Workload, c.Peers[0].Command, c.Peers[0].Rounds[0].Disturbed = hostile, hostile, hostile
	c.Peers = append(c.Peers, result.Peer{Name: hostile, Missing: hostile}, result.Peer{Name: hostile, Profile: hostile})
	r := reportOf(c, echo(50, c.Peers...), echo(500, c.Peers...))
	r.Flags, r.Commit, r.Go, r.Machine.CPU, r.Notes, r.Disturbed = hostile, hostile, hostile, hostile, []string{hostile}, []string{hostile}
	text := page(t, r, Page{Against: hostile, Old: r, Dir: t.TempDir()})
	if strings.Contains(text, "<script") {
		t.Error("a name has become markup")
	}
	if n := pictures(t, text); n < 10 {
		t.Errorf("%d pictures", n)
	}
	if at := regexp.MustCompile(`(src|href)="?(http|//)|url\(|@import`).FindString(text); at != "" {
		t.Errorf("the page asks the network: %q", at)
	}
}

// Runs of odd shape are pages, too.
func TestOddRuns(t *testing.T) {
	bare := echo(1, result.Peer{Name: "a", Rounds: []result.Sample{{Round: 1, Error: "died"}}})
	wide := echo(1, peerOf("fast", time.Microsecond), peerOf("slow", 10*time.Second))
	none := echo(1, peerOf("a", 1000))
	none.Peers[0].Rounds[0].Latency = nil
	var many []result.Case
	for i := range 30 {
		many = append(many, echo(i+1, peerOf("a", 1000)))
	}
	for name, r := range map[string]*result.Report{
		"empty": reportOf(), "nobody": reportOf(echo(1)), "failed": reportOf(bare),
		"wide": reportOf(wide), "no latency": reportOf(none), "many": reportOf(many...),
	} {
		text := page(t, r, Page{Against: "net"})
		n := pictures(t, text)
		if want := map[string]int{"empty": 0, "nobody": 0, "failed": 0}[name]; strings.Contains("empty nobody failed", name) && n != want {
			t.Errorf("%s: %d pictures, want %d", name, n, want)
		}
		if name == "failed" && !strings.Contains(text, "1 of 1 rounds failed: died") {
			t.Error("a failed round is not told")
		}
		if name == "wide" && (!strings.Contains(text, "10.0 s") || !strings.Contains(text, "1.00 µs")) {
			t.Error("wide figures are not shown in their units")
		}
	}
}

func TestMarks(t *testing.T) {
	c := echo(50, peerOf("good", steady(1000)...), peerOf("net", steady(2000)...), peerOf("bad", steady(3000)...), peerOf("few", 1, 2))
	c.Peers[2].Rounds[1].Disturbed = "another program"
	text := page(t, reportOf(c), Page{Against: "net"})
	for _, want := range []string{"▼ better", "▲ worse", "few rounds", "⚠ 1 of 6 rounds disturbed: another program"} {
		if strings.Count(text, want) != 1 {
			t.Errorf("%q stands there %d times, want once", want, strings.Count(text, want))
		}
	}
}

// What differs stands there at once, and all the rest is behind a line that says how much it is.
func TestComparisonOnThePage(t *testing.T) {
	old, now := reportOf(echo(50, peerOf("a", steady(1000)...))), reportOf(echo(50, peerOf("a", steady(2000)...)))
	v := viewComparison(old, now)
	if len(v.Shown) != 3 || v.Shown[0].Figure != "CPU/request" || v.Shown[0].Class != "worse" || len(v.Rest) != len(v.Deltas)-3 {
		t.Errorf("%+v, and %d of %d more", v.Shown, len(v.Rest), len(v.Deltas))
	}
	if want := "Of 6 figures 0 are better and 3 are worse; of 3 no difference"; !strings.Contains(v.Summary, want) {
		t.Errorf("%q, want %q", v.Summary, want)
	}
	var b bytes.Buffer
	if err := HTML(&b, now, Page{Old: old}); err != nil {
		t.Fatal(err)
	}
	shown, rest, ok := strings.Cut(b.String(), "<summary>Figures of which no difference is shown: 3</summary>")
	if !ok || !strings.Contains(shown, "✗ worse") || !strings.Contains(rest, ">requests/s</td>") {
		t.Error("the page does not show it so")
	}
}

func TestBenchmarkText(t *testing.T) {
	c := echo(50, peerOf("a b/c=d\n"+hostile, steady(1000)...), result.Peer{Name: "none", Rounds: []result.Sample{{Round: 1, Error: "x"}}})
	c.Rate = 20000
	r := reportOf(c)
	r.Flags = "two\nlines"
	var b bytes.Buffer
	if err := Text(&b, r); err != nil {
		t.Fatal(err)
	}
	config := regexp.MustCompile(`^[a-z][^A-Z\s:]*: \S.*$`)
	unit := regexp.MustCompile(`^Unit \S+ better=(lower|higher)$`)
	name := regexp.MustCompile(`^BenchmarkEcho/peer=[^\s/=]+/rate=20000/conns=50/size=64/depth=1$`)
	lines, known := 0, map[string]bool{}
	for line := range strings.Lines(b.String()) {
		line = strings.TrimSuffix(line, "\n")
		switch {
		case strings.HasPrefix(line, "Unit "):
			if !unit.MatchString(line) {
				t.Errorf("unit line %q", line)
			}
			known[strings.Fields(line)[1]] = true
		case strings.HasPrefix(line, "Benchmark"):
			lines++
			f := strings.Fields(line)
			if len(f) < 4 || len(f)%2 != 0 || !name.MatchString(f[0]) {
				t.Fatalf("result line %q", line)
			}
			if n, err := strconv.Atoi(f[1]); err != nil || n < 1 {
				t.Errorf("iterations %q", f[1])
			}
			for i := 2; i < len(f); i += 2 {
				if _, err := strconv.ParseFloat(f[i], 64); err != nil || !known[f[i+1]] {
					t.Errorf("value %q %q", f[i], f[i+1])
				}
			}
		case strings.HasPrefix(line, "# "):
		case !config.MatchString(line):
			t.Errorf("line %q", line)
		}
	}
	if lines != 6 {
		t.Errorf("%d results, want one for each of 6 rounds", lines)
	}
	if text := b.String(); strings.Contains(text, "-ns") || !strings.Contains(text, "\t1e-06 cpu-sec/req") {
		t.Errorf("times are not in seconds: %s", text)
	}
}

// What two runs that are to be compared differ in is no configuration: benchstat would put
// each run in a table of its own.
func TestBenchmarkTextOfRunsThatDiffer(t *testing.T) {
	config := func(change func(*result.Report)) (out string) {
		r := reportOf(echo(50, peerOf("a", steady(1000)...)))
		change(r)
		var b bytes.Buffer
		if err := Text(&b, r); err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(b.String()) {
			if line[0] >= 'a' && line[0] <= 'z' {
				out += line
			}
		}
		return out
	}
	first := config(func(r *result.Report) { r.Flags, r.Commit = "--out old", "1" })
	second := config(func(r *result.Report) {
		r.Flags, r.Commit, r.Go, r.Started = "--out new", "2", "go9", time.Unix(0, 0)
	})
	if first != second || !strings.Contains(first, "cpu: ") {
		t.Errorf("%s, and\n%s", first, second)
	}
	if other := config(func(r *result.Report) { r.Machine.CPU = "another" }); other == first {
		t.Error("another machine shows nowhere")
	}
}

func TestReadAndWrite(t *testing.T) {
	file := filepath.Join(t.TempDir(), "report.json")
	r := reportOf(echo(50, peerOf("a", steady(1000)...)))
	if err := WriteFile(file, func(w io.Writer) error { return JSON(w, r) }); err != nil {
		t.Fatal(err)
	}
	broken := errors.New("broken")
	if err := WriteFile(file, func(w io.Writer) error { fmt.Fprint(w, "half"); return broken }); !errors.Is(err, broken) {
		t.Errorf("%v, want %v", err, broken)
	}
	back, err := ReadFile(file)
	if err != nil || back.Cases[0].Peers[0].Rounds[5].Latency.Count() != 1000 {
		t.Errorf("%v, %v", back, err)
	}
	if files, _ := os.ReadDir(filepath.Dir(file)); len(files) != 1 {
		t.Errorf("%d files are left, want 1", len(files))
	}
	for text, want := range map[string]string{
		`{"version":2}`: "version 2; this program reads up to version 1", `{}`: "no version",
		`[]`: "not a report", `{"version":1,"cases":4}`: "damaged",
	} {
		if _, err := Read(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

func TestCompare(t *testing.T) {
	old := reportOf(echo(50, peerOf("a", steady(1000)...), peerOf("b", steady(1000)...), peerOf("c", 10, 20, 30), peerOf("gone", 1)))
	now := reportOf(echo(50, peerOf("a", steady(1100)...), peerOf("b", steady(1000)...), peerOf("c", 1, 2, 3), peerOf("new", 1)))
	now.Machine.Kernel = "Linux 7"
	c := Compare(old, now)
	want := map[string]Verdict{"a": Worse, "b": Same, "c": TooFew}
	for _, d := range c.Deltas {
		if d.Figure.Unit == "cpu-ns/req" && d.Verdict != want[d.Peer] {
			t.Errorf("%s: %s %+v, want %s", d.Peer, d.Verdict, d.Ratio, want[d.Peer])
		}
	}
	if len(c.Warnings) != 1 || !strings.Contains(c.Warnings[0], "Linux 7") || len(c.Only) != 2 {
		t.Errorf("warnings %q, only %q", c.Warnings, c.Only)
	}
	if text := page(t, now, Page{Old: old}); !strings.Contains(text, "✗ worse") || !strings.Contains(text, "too few rounds") {
		t.Error("the page does not show the verdicts")
	}
	if judge(result.Median{Low: 1.1, High: 1.2}, true, true) != Better {
		t.Error("more requests are not better")
	}
}

// The critical values are those of the tables of Mann and Whitney's U, two-sided, 5 %.
func TestTails(t *testing.T) {
	for _, test := range [][3]int{{3, 3, 0}, {4, 4, 1}, {5, 5, 3}, {5, 9, 8}, {9, 9, 18}, {20, 20, 128}} {
		if k := tail(test[0], test[1]); k != test[2] {
			t.Errorf("%d and %d values: %d, want %d", test[0], test[1], k, test[2])
		}
	}
	if k := tail(26, 26); k < 225 || k > 235 {
		t.Errorf("26 and 26 values: %d, want some 230", k)
	}
}

func profileOf(stacks map[string]int64) *profile.Profile {
	p := &profile.Profile{SampleType: []*profile.ValueType{{Type: "cpu", Unit: "nanoseconds"}}}
	known := map[string]*profile.Location{}
	for stack, v := range stacks {
		s := &profile.Sample{Value: []int64{v}}
		for _, name := range strings.Split(stack, ";") {
			if known[name] == nil {
				f := &profile.Function{ID: uint64(len(known) + 1), Name: name}
				p.Function = append(p.Function, f)
				known[name] = &profile.Location{ID: f.ID, Line: []profile.Line{{Function: f}}}
				p.Location = append(p.Location, known[name])
			}
			s.Location = append([]*profile.Location{known[name]}, s.Location...)
		}
		p.Sample = append(p.Sample, s)
	}
	return p
}

func TestLayersAndFlames(t *testing.T) {
	p := profileOf(map[string]int64{
		"main.main;mobius/loop.(*Loop).Run;mobius/uring.(*Ring).Enter;syscall.Syscall6": 60,
		"main.main;mobius/loop.(*Loop).Run;mobius/transport.(*Stream).Complete":         20,
		"main.main;mobius/loop.(*Loop).Run":                                             10,
		"runtime.gcBgMarkWorker":                                                        5, "main.main;" + hostile: 5,
	})
	file := filepath.Join(t.TempDir(), "echo.pprof")
	if err := WriteFile(file, func(w io.Writer) error { return p.Write(w) }); err != nil {
		t.Fatal(err)
	}
	d, err := readProfile(filepath.Dir(file), "elsewhere/echo.pprof")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]float64{layerKernel: 60, layerTransport: 20, layerLoop: 10, layerRuntime: 5, layerUser: 5, layerRing: 0}
	for _, l := range d.Layers {
		if l.Percent() != want[l.Layer] {
			t.Errorf("%s: %v %%, want %v", l.Layer, l.Percent(), want[l.Layer])
		}
	}
	// Each layer has its own, though others take more.
	if top := d.Layers[3].Top; len(top) != 1 || top[0].Name != "mobius/transport.(*Stream).Complete" || top[0].Percent() != 20 {
		t.Errorf("transport: %+v", top)
	}
	if d.Layers[0].Top[0].Name != "syscall.Syscall6" || d.root.depth(100) != 5 {
		t.Errorf("%+v, depth %d", d.Layers[0].Top[0], d.root.depth(100))
	}
	c := echo(50, peerOf("a", 1000))
	c.Peers[0].Profile = file
	text := page(t, reportOf(c), Page{})
	pictures(t, text)
	if strings.Contains(text, "<script") || !strings.Contains(text, "syscall.Syscall6: 60.0 %, kernel") {
		t.Error("the flame graph is not as it should be")
	}
}

// A system call is the kernel's, by whichever of its names a version of Go has it.
func TestSystemCallsAreTheKernels(t *testing.T) {
	for _, name := range []string{
		"internal/runtime/syscall/linux.Syscall6", "internal/runtime/syscall.Syscall6", "syscall.RawSyscall6",
		"golang.org/x/sys/unix.RawSyscall6",
	} {
		if l := layerOf(name); l != layerKernel {
			t.Errorf("%s: %s, want %s", name, l, layerKernel)
		}
	}
}
