package sim

import (
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/netip"
	"sync"
	"time"

	"mobius/proactor"
)

// Options say what a simulated network is like. The zero value of each field
// is its default, and a sensible one.
type Options struct {
	Seed uint64 // decides everything that happens

	// Faults says how often things go wrong; nil draws it from the seed. With
	// Harmless a drawn one has only those faults that a correct program does
	// not notice: then all bytes arrive and all connections last.
	Faults   *Faults
	Harmless bool

	// Foreign is for programs with more than one goroutine: a Poll with nothing
	// to come waits for a Wake instead of reporting a deadlock, and time waits
	// for loops that are busy on other goroutines. Runs are no longer replayed
	// exactly, since the scheduler takes part in them.
	Foreign bool

	// Limit is the virtual time at which a Poll gives up with a [*Deadlock]: a
	// program that runs for so long does not get on, though it is busy. 0: none.
	Limit time.Duration

	// Trace, if not nil, is told every event and every result, a line each.
	Trace io.Writer

	// Limits. Where 0 stands for a default and the faults are drawn, the first
	// three are drawn as well, many of them tiny.

	Buffers        int // lent buffers of each backend; default 64
	BufferSize     int // bytes that one Recv lends at most; default 65536
	StreamBuffer   int // bytes between a writer and a reader unless SocketOptions say; default 65536
	Holds          int // cap on live holds of each backend; default three quarters of Buffers
	Handles        int // open handles of each backend; default 65536
	DatagramSize   int // bytes of a datagram that one RecvFrom lends at most; default 65536
	DatagramBuffer int // datagrams that wait on one socket; default 256
	WriteFrom      int // bytes from which on a loop writes by TryWrite; drawn with the faults, default 16384

	// Hosts is what LookupHost knows, beside numeric addresses and localhost.
	Hosts map[string][]netip.Addr

	// Spawn plays the children: it returns the program that c asks
	// for, or an error, which Spawn returns. nil: ENOENT for everything.
	Spawn func(c *proactor.Command) (Program, error)
}

// fill sets what was left open. With drawn faults the limits are drawn, too:
// exhaustion then happens all the time, and not once a year.
func (o *Options) fill() {
	if o.Faults == nil {
		rng := rand.New(rand.NewPCG(o.Seed, 0x6c696d697473)) // any constant
		draw := func(p *int, from ...int) {
			if v := from[rng.IntN(len(from))]; *p <= 0 {
				*p = v
			}
		}
		draw(&o.Buffers, 2, 4, 16, 64)
		draw(&o.BufferSize, 512, 4096, 65536, 65536)
		draw(&o.StreamBuffer, 4608, 16384, 65536, 65536) // 4608: the least SO_SNDBUF (socket(7))
		draw(&o.WriteFrom, 1, 1000, 16384, 1<<30)
	}
	def := func(p *int, v int) {
		if *p <= 0 {
			*p = v
		}
	}
	def(&o.Buffers, 64)
	def(&o.BufferSize, 64<<10)
	def(&o.DatagramSize, 64<<10)
	def(&o.Holds, max(1, o.Buffers*3/4))
	def(&o.Handles, 64<<10)
	def(&o.StreamBuffer, 64<<10)
	def(&o.DatagramBuffer, 256)
	def(&o.WriteFrom, 16<<10)
}

// A Net is one simulated network with its clock. Its methods may be called
// from any goroutine.
type Net struct {
	mu       sync.Mutex // guards everything below, and all of its backends' state
	cond     sync.Cond  // Options.Foreign: something has changed that a waiting Poll may care for
	o        Options
	faults   Faults
	pcg      rand.PCG
	rng      *rand.Rand
	odds     [faultKinds]uint64 // rates, scaled to 53 bits
	asked    [faultKinds]uint64
	fired    [faultKinds]uint64
	now      int64 // virtual nanoseconds since New
	agenda   agenda
	hash     uint64
	events   uint64
	backends []*Backend // those that are open
	opened   int        // those that ever were
	sockets  uint32     // made so far; the next one's number
	children int        // made so far
	ports    map[portKey][]*socket
	port     uint16 // the last ephemeral port given out
	paths    map[proactor.Address]*socket
	files    map[int]*socket // descriptors that no backend owns
	nextFile int
	flying   []flight // datagrams on their way; the free ones are linked
	free     int32    // the first free one of flying, -1 for none
	spare    [][]byte // buffers of streams that have ended
	lost     []string // what was left over when a backend was closed
}

type portKey struct {
	network proactor.Network
	port    uint16
}

const never = math.MaxInt64

// New returns a network without backends at the virtual time 0.
func New(o Options) *Net {
	o.fill()
	n := &Net{
		o:        o,
		ports:    map[portKey][]*socket{},
		paths:    map[proactor.Address]*socket{},
		files:    map[int]*socket{},
		port:     32767, // ip_local_port_range begins one above
		nextFile: 1 << 20,
		free:     -1,
		hash:     hashStart,
	}
	n.cond.L = &n.mu
	n.pcg.Seed(o.Seed, 0x6d6f62697573) // any constant
	n.rng = rand.New(&n.pcg)
	if o.Faults != nil {
		n.faults = *o.Faults
	} else {
		n.faults = *Draw(o.Seed)
		if o.Harmless {
			n.faults = *n.faults.Harmless()
		}
	}
	for k, rate := range n.faults.rates {
		n.odds[k] = uint64(rate * (1 << 53))
	}
	return n
}

// Open returns a new backend on n. A backend belongs to the goroutine of its
// first Poll.
func (n *Net) Open() (*Backend, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	b := newBackend(n, n.opened)
	n.opened++
	n.backends = append(n.backends, b)
	return b, nil
}

// Seed returns the seed that decides this run.
func (n *Net) Seed() uint64 { return n.o.Seed }

// Now returns the virtual time since New.
func (n *Net) Now() time.Duration {
	n.mu.Lock()
	defer n.mu.Unlock()
	return time.Duration(n.now)
}

// Faults returns what this run has drawn, or was given.
func (n *Net) Faults() *Faults { return n.faults.Set(0) }

// Fired returns how often fault k has happened so far.
func (n *Net) Fired(k Fault) uint64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.fired[k]
}

// Heal ends all faults from now on: what is under way when a network has
// healed must finish.
func (n *Net) Heal() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.faults = Faults{}
	clear(n.odds[:])
}

// at puts e on the agenda for time t, or for now if t has passed.
func (n *Net) at(t int64, e event) {
	e.at = max(t, n.now)
	n.agenda.add(e)
}

// nextEvent returns the time of the first event, never if there is none.
func (n *Net) nextEvent() int64 {
	if len(n.agenda.heap) == 0 {
		return never
	}
	return n.agenda.heap[0].at
}

// runDue runs every event whose time has come.
func (n *Net) runDue() {
	for n.nextEvent() <= n.now {
		e := n.agenda.pop()
		n.events++
		n.run(&e)
	}
}

// String describes e for the trace.
func (e *event) String() string {
	switch {
	case e.sock != nil && e.n != 0:
		return fmt.Sprintf("%v: %v, %d", e.kind, e.sock, e.n)
	case e.sock != nil:
		return fmt.Sprintf("%v: %v", e.kind, e.sock)
	case e.serial != 0 && e.b.slots[e.slot].serial == e.serial:
		at := &e.b.slots[e.slot]
		return fmt.Sprintf("%v: backend %d, %v on %v", e.kind, e.b.index, at.op.Kind, at.sock)
	}
	return fmt.Sprintf("%v: backend %d", e.kind, e.b.index)
}

// note writes a line of the trace.
func (n *Net) note(format string, args ...any) {
	fmt.Fprintf(n.o.Trace, "%14v  %s\n", time.Duration(n.now), fmt.Sprintf(format, args...))
}

func (n *Net) run(e *event) {
	id := uint64(0)
	if e.sock != nil {
		id = uint64(e.sock.id)
	}
	n.trace(uint64(e.kind)<<56|uint64(e.at), id<<32|uint64(uint32(e.n)))
	if n.o.Trace != nil {
		n.note("%s", e.String())
	}
	switch e.kind {
	case evSend:
		e.sock.sendDue = false
		e.sock.pushOut()
	case evArrive:
		e.sock.arrive(e.n)
	case evFin:
		e.sock.arriveEnd()
	case evReset:
		e.sock.arriveReset()
	case evBreak:
		e.sock.breakDown()
	case evRoom:
		e.sock.roomDue = false
		e.sock.wakeWriter()
	case evDatagram:
		n.land(e.sock, int32(e.n))
	case evPin:
		e.b.unpin(uint32(e.n))
	case evServe:
		e.b.dry = false
		e.b.serve()
	case evScript:
		if e.n > 0 {
			e.sock.child.kill(e.sock, e.n)
		} else {
			e.sock.child.step(e.sock)
		}
	default:
		e.b.runOp(e)
	}
}

// Until polls the backends of n in turn, on the calling goroutine, until done
// answers true, or a Poll fails. It asks done before each round.
func (n *Net) Until(done func() bool) error {
	for !done() {
		for i := 0; ; i++ {
			n.mu.Lock()
			if i >= len(n.backends) {
				n.mu.Unlock()
				break
			}
			b := n.backends[i]
			n.mu.Unlock()
			if err := b.Poll(-1); err != nil {
				return err
			}
		}
	}
	return nil
}
