package proxy

import (
	"errors"
	"net/netip"
	"syscall"
	"time"

	"mobius/loop"
	"mobius/proactor"
	"mobius/transport"
	"mobius/transport/datagram"
)

// A Flow is what one client and one upstream say to each other in datagrams. It
// lives on one loop, and all its methods are for that loop's goroutine. Stages
// must not use it after its end.
type Flow struct {
	Value any // the stages': for what they keep of a flow

	door     *door
	key      flowKey
	index    int          // in door.list
	answer   proactor.Msg // what goes beside answers: the address that the client talks to
	train    proactor.Msg // what goes beside several datagrams to the upstream
	upstream *Upstream
	port     *datagram.Port // connected to the upstream
	waiting  [][]byte       // from the client, until it is
	waits    int            // and how many bytes
	timer    loop.Timer
	started  time.Duration
	last     time.Duration // when a datagram came, from either side
	state    flowState
	reason   Reason
	side     Side
	err      error
	sent     Traffic
	received Traffic
	dropped  uint64
}

// A flowState is where a flow is in its life.
//
//	connecting ──the socket has its peer──▶ open
//	connecting, open ──silence, a refusal, an error, a cut──▶ ending
//	ending ──the socket is closed──▶ over
type flowState uint8

const (
	connecting flowState = iota
	open
	ending
	flowOver
)

// Limits of one flow: datagrams that wait for its socket's connect(2), and
// their bytes, and what waits for the kernel to take it.
const (
	maxWaiting    = 64
	maxWaits      = 128 << 10
	flowQueue     = 256
	flowQueueSize = 1 << 20
)

// Client returns the client's address.
func (f *Flow) Client() proactor.Address { return f.key.client }

// Listener returns the address of the listener that the client talks to.
func (f *Flow) Listener() proactor.Address { return f.door.addr }

// Loop returns the loop on which the flow lives.
func (f *Flow) Loop() *loop.Loop { return f.door.l }

// Upstream returns the flow's upstream, nil before it is routed.
func (f *Flow) Upstream() *Upstream { return f.upstream }

// begin makes the flow's socket. Its error is no fault of the upstream's.
func (f *Flow) begin() error {
	r := f.door
	f.started, f.last = r.l.Now(), r.l.Now()
	f.timer.Owner = (*flowExpirer)(f)
	if f.upstream = r.d.o.Route.RouteFlow(f); f.upstream == nil {
		return ErrNoUpstream
	}
	o := r.d.o.Upstream
	port, err := datagram.Listen(r.l, anyPort(f.upstream.addr), f, &datagram.Options{
		Socket: &o, Queue: flowQueue, QueueBytes: flowQueueSize,
	})
	if err != nil {
		f.upstream.spare()
		return err
	}
	f.upstream.live.Add(1)
	f.port = port
	receiveTrains(port, &o)
	return nil
}

// connect makes the upstream the socket's peer.
func (f *Flow) connect() {
	f.arm(f.patience())
	f.port.Connect(f.upstream.addr).Then(func(_ struct{}, err error) { f.connected(err) })
}

// anyPort returns where a socket is bound that is to reach an address.
func anyPort(to proactor.Address) proactor.Address {
	ip := netip.IPv4Unspecified()
	if to.IP().Is6() {
		ip = netip.IPv6Unspecified()
	}
	return proactor.IPAddress(proactor.UDP, ip, 0)
}

// connected sends what has waited.
func (f *Flow) connected(err error) {
	if f.state != connecting {
		return
	}
	if err != nil {
		f.refused(err)
		return
	}
	f.state = open
	f.upstream.total.Add(1)
	for _, data := range f.waiting {
		f.write(data, 0)
	}
	f.waiting, f.waits = nil, 0
}

// toUpstream passes on what the client has sent: a datagram, or several of
// segment bytes each.
func (f *Flow) toUpstream(data []byte, segment int) {
	f.last = f.door.l.Now()
	switch {
	case f.state == open:
		f.write(data, segment)
	case segment > 0:
		for ; len(data) > 0; data = data[min(segment, len(data)):] {
			f.wait(data[:min(segment, len(data))])
		}
	default:
		f.wait(data)
	}
}

// wait keeps a datagram until the socket is connected.
func (f *Flow) wait(data []byte) {
	if f.state != connecting || len(f.waiting) >= maxWaiting || f.waits+len(data) > maxWaits {
		f.drop(1)
		return
	}
	f.waits += len(data)
	f.waiting = append(f.waiting, append(make([]byte, 0, len(data)), data...))
}

func (f *Flow) write(data []byte, segment int) {
	var err error
	n := countOf(data, segment)
	if n > 1 {
		f.train.SegmentSize = segment
		err = f.port.WriteMsg(data, proactor.Address{}, &f.train)
	} else {
		err = f.port.Write(data)
	}
	if err != nil {
		f.drop(n)
		return
	}
	f.sent.add(n, len(data))
	f.door.sent.add(n, len(data))
	f.upstream.sent.Add(int64(len(data)))
}

// drop counts n datagrams that are not passed on.
func (f *Flow) drop(n int) {
	f.dropped += uint64(n)
	f.door.dropped.Add(uint64(n))
}

// StartProtocol does nothing: begin has the port.
func (f *Flow) StartProtocol(*datagram.Port) {}

// DatagramReceived is not called: DatagramInfo is.
func (f *Flow) DatagramReceived(data []byte, from proactor.Address) {
	f.DatagramInfo(data, from, &proactor.Msg{})
}

// DatagramInfo passes on what the upstream has sent. Before the socket has its
// peer anybody could send to it.
func (f *Flow) DatagramInfo(data []byte, from proactor.Address, msg *proactor.Msg) {
	if msg.Truncated {
		f.drop(1)
		return
	}
	f.toClient(data, from, msg.SegmentSize)
}

// TrainInfo passes on several.
func (f *Flow) TrainInfo(data []byte, from proactor.Address, msg *proactor.Msg) {
	f.toClient(data, from, msg.SegmentSize)
}

func (f *Flow) toClient(data []byte, from proactor.Address, segment int) {
	n := countOf(data, segment)
	if from != f.port.RemoteAddr() || f.state == ending {
		f.drop(n)
		return
	}
	f.last = f.door.l.Now()
	if f.upstream.failures.Load() != 0 {
		f.upstream.failures.Store(0)
	}
	var err error
	if f.answer.Info.Has != 0 || n > 1 {
		f.answer.SegmentSize = segment
		err = f.door.port.WriteMsg(data, f.key.client, &f.answer)
	} else {
		err = f.door.port.WriteTo(data, f.key.client)
	}
	if err != nil {
		f.drop(n)
		return
	}
	f.received.add(n, len(data))
	f.door.received.add(n, len(data))
	f.upstream.received.Add(int64(len(data)))
}

// ConnectionRefused says that nobody listens at the upstream's address: some
// datagram is lost. The client's next one begins another flow, to another
// upstream if there is one.
func (f *Flow) ConnectionRefused() { f.refused(syscall.ECONNREFUSED) }

func (f *Flow) refused(err error) {
	if f.state < ending {
		f.upstream.rest(f.door.now(), err)
		f.end(NoUpstream, Server, err)
	}
}

// SendFailed counts a datagram that this host did not send.
func (f *Flow) SendFailed(proactor.Address, error) { f.drop(1) }

// end ends the flow; its report comes once the socket is closed.
func (f *Flow) end(reason Reason, side Side, err error) {
	if f.state >= ending {
		return
	}
	f.state = ending
	f.reason, f.side, f.err = reason, side, err
	f.timer.Stop()
	f.drop(len(f.waiting))
	f.waiting, f.waits = nil, 0
	f.door.delist(f)
	f.port.StopListening()
}

// StopProtocol is the end of the socket.
func (f *Flow) StopProtocol(err error) {
	var c *transport.ConnError
	reason, side := Broken, Server
	if errors.As(err, &c) && c.Kind != transport.Lost {
		reason, side = Stopped, Nobody
	}
	f.end(reason, side, err) // unless it has ended by itself
	f.finish()
}

// finish reports.
func (f *Flow) finish() {
	f.state = flowOver
	r := f.door
	f.upstream.live.Add(-1)
	if f.reason != NoUpstream && f.received.Datagrams == 0 {
		f.upstream.spare()
	}
	defer r.gone(f) // a FlowReporter may panic
	report := f.report()
	if r.d.o.History {
		r.d.past.keep(r.now(), report)
	}
	if r.d.o.Report != nil {
		r.d.o.Report.FlowEnded(report)
	}
}

func (f *Flow) report() *FlowReport {
	return &FlowReport{
		Client: f.key.client, Listener: f.door.addr, Upstream: f.upstream.addr, Reason: f.reason, Side: f.side, Err: f.err,
		Sent: f.sent, Received: f.received, Dropped: f.dropped, Duration: f.door.l.Now() - f.started,
	}
}

// patience returns how long the flow may be silent, negative for ever.
func (f *Flow) patience() time.Duration {
	d := f.door.d
	if d.draining.Load() && (d.o.IdleTimeout < 0 || d.o.IdleTimeout > drainIdle) {
		return drainIdle
	}
	return d.o.IdleTimeout
}

func (f *Flow) arm(d time.Duration) {
	if d >= 0 {
		f.door.l.Start(&f.timer, d)
	}
}

// fire judges whether the flow was silent for too long, so that no datagram
// has to touch the timer.
func (f *Flow) fire() {
	limit := f.patience()
	if limit < 0 || f.state >= ending {
		return
	}
	if left := f.last + limit - f.door.l.Now(); left > 0 {
		f.arm(left)
		return
	}
	f.end(Idle, Nobody, nil)
}

// A flowExpirer is a Flow as its timer sees it.
type flowExpirer Flow

// Expire judges.
func (e *flowExpirer) Expire(*loop.Timer) { (*Flow)(e).fire() }

var (
	_ datagram.Protocol          = (*Flow)(nil)
	_ datagram.Informed          = (*Flow)(nil)
	_ datagram.ConnectionRefuser = (*Flow)(nil)
	_ datagram.SendFailer        = (*Flow)(nil)

	_ datagram.InformedTrainReceiver = (*Flow)(nil)
)
