package report

import (
	"cmp"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/pprof/profile"
)

// The layers that a program's time is divided into.
const (
	layerKernel    = "kernel"    // system calls
	layerRuntime   = "runtime"   // Go's
	layerRing      = "ring"      // a backend, whichever it is
	layerLoop      = "loop"      //
	layerTransport = "transport" // connectors and the reactor, too
	layerUser      = "user"      // protocols, the proxy, everything else
)

// layers lists them from the ground up.
func layers() []string {
	return []string{layerKernel, layerRing, layerLoop, layerTransport, layerUser, layerRuntime}
}

// layerOf returns the layer of a function's name.
func layerOf(name string) string {
	for _, l := range []struct{ layer, prefixes string }{
		{layerKernel, "syscall.Syscall syscall.RawSyscall syscall.rawSyscall syscall.rawVfork internal/runtime/syscall " +
			"golang.org/x/sys/unix.Syscall golang.org/x/sys/unix.RawSyscall [kernel"},
		{layerRing, "mobius/uring mobius/epoll mobius/kqueue mobius/internal/ mobius/proactor"},
		{layerLoop, "mobius/loop"},
		{layerTransport, "mobius/transport mobius/connector mobius."},
		{layerRuntime, "runtime. runtime/ internal/runtime/ gcWriteBarrier gogo memeqbody aeshashbody"},
	} {
		for prefix := range strings.FieldsSeq(l.prefixes) {
			if strings.HasPrefix(name, prefix) {
				return l.layer
			}
		}
	}
	return layerUser
}

// A hot function is one of a profile's.
type hotFunction struct {
	Name, Layer string
	Share       float64 // of all time, spent in the function itself
}

// A flame is a function in a flame graph, with those that it has called.
type flame struct {
	name  string
	value int64
	calls map[string]*flame
}

// A cpuProfile is what a report shows of a profile.
type cpuProfile struct {
	Layers []layerShare
	root   *flame
}

// A layerShare is how much of the time one layer takes, and its functions that
// take most of that.
type layerShare struct {
	hotFunction // without a name
	Top         []hotFunction
}

const topFunctions = 6 // of each layer

// readProfile reads a pprof file. A path that is not absolute is looked for in dir, too.
func readProfile(dir, path string) (*cpuProfile, error) {
	f, err := os.Open(path)
	if err != nil {
		var again error
		if f, again = os.Open(filepath.Join(dir, filepath.Base(path))); again != nil {
			return nil, err
		}
	}
	defer f.Close()
	p, err := profile.Parse(f)
	if err != nil {
		return nil, err
	}
	return digest(p), nil
}

// digest adds up a profile. Its last kind of value is taken, which in CPU
// profiles is the time.
func digest(p *profile.Profile) *cpuProfile {
	out := &cpuProfile{root: &flame{name: "all"}}
	functions, byLayer := map[string]int64{}, map[string]int64{}
	for _, s := range p.Sample {
		stack := frames(s)
		if len(s.Value) == 0 || len(stack) == 0 {
			continue
		}
		v := s.Value[len(s.Value)-1]
		at := out.root
		at.value += v
		for _, name := range stack {
			at = at.call(name)
			at.value += v
		}
		functions[at.name] += v
		byLayer[layerOf(at.name)] += v
	}
	total := float64(max(out.root.value, 1))
	for _, l := range layers() {
		share := layerShare{hotFunction: hotFunction{Layer: l, Share: float64(byLayer[l]) / total}}
		for name, v := range functions {
			if layerOf(name) == l {
				share.Top = append(share.Top, hotFunction{name, l, float64(v) / total})
			}
		}
		slices.SortFunc(share.Top, func(a, b hotFunction) int {
			return cmp.Or(cmp.Compare(b.Share, a.Share), cmp.Compare(a.Name, b.Name))
		})
		share.Top = share.Top[:min(len(share.Top), topFunctions)]
		out.Layers = append(out.Layers, share)
	}
	return out
}

// frames returns a sample's functions, the outermost first.
func frames(s *profile.Sample) (out []string) {
	for _, l := range slices.Backward(s.Location) {
		for _, line := range slices.Backward(l.Line) {
			if line.Function != nil {
				out = append(out, line.Function.Name)
			}
		}
	}
	return out
}

func (f *flame) call(name string) *flame {
	if f.calls == nil {
		f.calls = map[string]*flame{}
	}
	next := f.calls[name]
	if next == nil {
		next = &flame{name: name}
		f.calls[name] = next
	}
	return next
}

// Percent returns the share in hundredths.
func (h hotFunction) Percent() float64 { return 100 * h.Share }
