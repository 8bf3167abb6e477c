package mobius

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"syscall"
	"testing"

	"mobius/proactor"
	"mobius/sim"
)

var errRefused = errors.New("the kernel refuses it")

// opener counts the backends that it opens and that are closed again; from
// the failing one on it answers err.
type opener struct {
	t             *testing.T
	failing       int
	err           error
	opened, calls int
	closed        int
}

type countedBackend struct {
	proactor.Backend
	o *opener
}

func (b countedBackend) Close() error {
	b.o.closed++
	return b.Backend.Close()
}

func (o *opener) open() (proactor.Backend, error) {
	o.calls++
	if o.err != nil && o.calls > o.failing {
		return nil, fmt.Errorf("io_uring_setup: %w", o.err)
	}
	b, err := sim.New(sim.Options{}).Open()
	if err != nil {
		o.t.Fatal(err)
	}
	o.opened++
	return countedBackend{b, o}, nil
}

// A kernel that refuses the preferred backend, be it on the third loop only,
// means the next one for all loops, and one log line that says why.
func TestAutoFallsBackForAllLoopsAlike(t *testing.T) {
	for failing := range 3 {
		var text bytes.Buffer
		first := &opener{t: t, failing: failing, err: fmt.Errorf("%w: %w", errRefused, syscall.EPERM)}
		second := &opener{t: t}
		backends, info, err := openAuto([]candidate{
			{"first", first.open, errRefused}, {"second", second.open, nil},
		}, 3, slog.New(slog.NewTextHandler(&text, nil)))
		if err != nil || len(backends) != 3 || info.Name != "second" || second.opened != 3 {
			t.Fatalf("%d backends, %+v, %v; want three of the second kind", len(backends), info, err)
		}
		if !strings.Contains(info.Why, errRefused.Error()) || !strings.Contains(info.Why, "not permitted") {
			t.Errorf("why is %q, want the kernel's reason", info.Why)
		}
		if first.closed != first.opened {
			t.Errorf("%d of %d backends of the first kind were closed", first.closed, first.opened)
		}
		if lines := strings.Count(text.String(), "\n"); lines != 1 || !strings.Contains(text.String(), errRefused.Error()) {
			t.Errorf("log has %d lines, want one that says why:\n%s", lines, &text)
		}
	}
}

// An error that does not mean "refused" is no reason to go on with something else.
func TestAutoPassesOtherErrorsOn(t *testing.T) {
	first, second := &opener{t: t, err: syscall.EMFILE}, &opener{t: t}
	_, _, err := openAuto([]candidate{{"first", first.open, errRefused}, {"second", second.open, nil}}, 1, slog.New(slog.DiscardHandler))
	if !errors.Is(err, syscall.EMFILE) || second.calls != 0 {
		t.Errorf("error is %v after %d tries of the second, want EMFILE and none", err, second.calls)
	}
}

func TestAutoTakesTheFirst(t *testing.T) {
	var text bytes.Buffer
	first := &opener{t: t}
	_, info, err := openAuto([]candidate{{"first", first.open, errRefused}}, 2, slog.New(slog.NewTextHandler(&text, nil)))
	if err != nil || info.Name != "first" || info.Why == "" || text.Len() != 0 {
		t.Errorf("%+v, %v, log %q", info, err, &text)
	}
}

func TestBackendByName(t *testing.T) {
	for _, name := range []string{"select", "URING", "io_uring", " epoll"} {
		if _, err := New(Options{Backend: name}); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("%q", name)) {
			t.Errorf("New with backend %q says %v", name, err)
		}
	}
	for _, c := range candidates() {
		r, err := New(Options{Backend: c.name})
		if err != nil {
			t.Errorf("New with backend %q: %v", c.name, err)
			continue
		}
		if b := r.Backend(); b.Name != c.name || r.loops[0].Backend().Name() != c.name || b.Why != "asked for by name" {
			t.Errorf("asked for %q, got %+v, whose loop has %q", c.name, b, r.loops[0].Backend().Name())
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestOptionsOpen(t *testing.T) {
	var asked []int
	net := sim.New(sim.Options{})
	r, err := New(Options{Loops: 3, Open: func(loop int) (proactor.Backend, error) {
		asked = append(asked, loop)
		return net.Open()
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if fmt.Sprint(asked) != "[0 1 2]" || r.Backend().Name != "sim" || len(r.Loops()) != 3 {
		t.Errorf("asked for %v, got %+v with %d loops", asked, r.Backend(), len(r.Loops()))
	}
	failing := &opener{t: t, failing: 2, err: syscall.ENOMEM}
	_, err = New(Options{Loops: 3, Open: func(int) (proactor.Backend, error) { return failing.open() }})
	if !errors.Is(err, syscall.ENOMEM) || failing.closed != 2 {
		t.Errorf("error is %v, %d of 2 backends were closed", err, failing.closed)
	}
	for _, loops := range []int{-1, maxLoops + 1} {
		if _, err := New(Options{Loops: loops}); err == nil {
			t.Errorf("New with %d loops: no error", loops)
		}
	}
}
