package proxy

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"mobius/loop"
	"mobius/proactor"
)

// A Datagrams forwards datagrams, which know no connections: what a client, an
// address, sends to a listener, goes to an upstream from a socket of its own,
// and what comes back there goes to the client. That is a [Flow]; it ends when
// nothing has gone either way for a while. Make one with [NewDatagrams].
//
// Boundaries are kept, empty datagrams are, and order is as far as the network
// keeps it. What cannot be passed on is dropped, whole, and counted.
type Datagrams struct {
	o        DatagramOptions
	loops    []*loop.Loop
	live     atomic.Int64 // flows
	draining atomic.Bool
	past     flowHistory

	mu    sync.Mutex
	doors []*door
}

// drainIdle is how long a flow may be silent while its proxy drains.
const drainIdle = 5 * time.Second

// NewDatagrams returns a proxy whose flows live on loops. It is called before the
// loops run.
func NewDatagrams(loops []*loop.Loop, o DatagramOptions) (*Datagrams, error) {
	if len(loops) == 0 {
		return nil, errors.New("proxy: no loops")
	}
	if o.Route == nil {
		return nil, errors.New("proxy: DatagramOptions.Route is nil")
	}
	return &Datagrams{o: o.withDefaults(), loops: loops}, nil
}

// Listen makes the proxy receive datagrams at addr; a busy port is an error. It
// is for the first loop's goroutine, or for any before the loops run; ReusePort wants
// the latter. Without that all flows of a listener live on the first loop.
func (d *Datagrams) Listen(addr proactor.Address) error {
	loops := d.loops[:1]
	if d.o.ReusePort {
		loops = d.loops
	}
	for _, l := range loops {
		r, err := d.listen(l, addr, len(loops) > 1)
		if err != nil {
			return err
		}
		addr = r.addr // with the port that the kernel chose
	}
	return nil
}

// Addrs returns the addresses that the proxy listens on. Any goroutine.
func (d *Datagrams) Addrs() []proactor.Address {
	var addrs []proactor.Address
	for _, r := range d.all() {
		if !slices.Contains(addrs, r.addr) { // several loops may listen on one
			addrs = append(addrs, r.addr)
		}
	}
	return addrs
}

// Live returns the number of flows. Any goroutine.
func (d *Datagrams) Live() int { return int(d.live.Load()) }

func (d *Datagrams) all() []*door {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.doors)
}

// Drain takes no new clients. The flows that there are go on until they end, or
// are silent for some seconds; then the ports are free. Any goroutine; it
// does not wait.
func (d *Datagrams) Drain() {
	d.draining.Store(true)
	for _, r := range d.all() {
		r.l.Insist(r.drain) // a loop that has stopped has no flows
	}
}

// Cut ends all flows, with the reason Drained. Any goroutine; it does not wait.
func (d *Datagrams) Cut() {
	for _, r := range d.all() {
		r.l.Insist(r.cut)
	}
}

// Shutdown drains the proxy and waits until the last flow has ended and the
// ports are free; when ctx ends first, what is left is cut, and ctx's error
// returned. It must not be called on a loop's goroutine.
func (d *Datagrams) Shutdown(ctx context.Context) error {
	d.Drain()
	var err error
	expired := ctx.Done()
	for _, r := range d.all() {
		for over := false; !over; {
			select {
			case <-r.stopped:
				over = true
			case <-r.l.Done():
				over = true
			case <-expired:
				err, expired = ctx.Err(), nil
				d.Cut()
			}
		}
	}
	return err
}
