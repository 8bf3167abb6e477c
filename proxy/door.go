package proxy

import (
	"net/netip"
	"sync/atomic"
	"time"

	"mobius/loop"
	"mobius/proactor"
	"mobius/transport/datagram"
)

// A door is a listener of a Datagrams on one loop, and its flows. What is atomic
// is written by the loop and read by Status.
type door struct {
	d       *Datagrams
	l       *loop.Loop
	offset  time.Duration // the first loop's time less this one's
	port    *datagram.Port
	addr    proactor.Address
	flows   map[flowKey]*Flow
	list    []*Flow // the same, in an order that one seed repeats
	stopped chan struct{}

	unserved refusal
	trouble  atomic.Pointer[string] // why new clients are not served, nil if they are

	live     atomic.Int64
	accepted atomic.Uint64
	refused  atomic.Uint64
	dropped  atomic.Uint64
	ends     [reasons]atomic.Uint64
	sent     counted
	received counted
}

// A counted is datagrams and their bytes.
type counted struct {
	datagrams atomic.Uint64
	bytes     atomic.Int64
}

func (c *counted) add(datagrams, bytes int) {
	c.datagrams.Add(uint64(datagrams))
	c.bytes.Add(int64(bytes))
}

// A flowKey is what tells flows of a listener apart: the client, and which of
// this host's addresses it talks to, where the listener has several.
type flowKey struct {
	client proactor.Address
	local  netip.Addr
}

func (d *Datagrams) listen(l *loop.Loop, addr proactor.Address, share bool) (*door, error) {
	r := &door{d: d, l: l, flows: map[flowKey]*Flow{}, stopped: make(chan struct{})}
	r.offset = d.loops[0].Backend().Now() - l.Backend().Now()
	o := d.o.Listener
	o.ReusePort = o.ReusePort || share
	port, err := datagram.Listen(l, addr, r, &datagram.Options{Socket: &o})
	if err != nil {
		return nil, err
	}
	r.port, r.addr = port, port.LocalAddr()
	receiveTrains(port, &o)
	if ip := r.addr.IP(); !ip.IsValid() || ip.IsUnspecified() {
		// An answer must come from the address that was asked.
		if err := port.SetOptions(&proactor.SocketOptions{RecvLocal: proactor.On}); err != nil {
			l.Log().Warn("the system does not tell which address a datagram was sent to: answers come from the one that its routes choose",
				"listener", r.addr.String(), "err", err)
		}
	}
	d.mu.Lock()
	d.doors = append(d.doors, r)
	d.mu.Unlock()
	return r, nil
}

// now is a time that all loops of the proxy share.
func (r *door) now() time.Duration { return r.l.Now() + r.offset }

// StartProtocol does nothing: listen has the port.
func (r *door) StartProtocol(*datagram.Port) {}

// DatagramReceived is not called: DatagramInfo is.
func (r *door) DatagramReceived(data []byte, from proactor.Address) {
	r.DatagramInfo(data, from, &proactor.Msg{})
}

// DatagramInfo takes a client's datagram.
func (r *door) DatagramInfo(data []byte, from proactor.Address, msg *proactor.Msg) {
	if msg.Truncated || !from.IsValid() {
		r.dropped.Add(1)
		return
	}
	r.pass(data, from, msg)
}

// TrainInfo takes several of a client's.
func (r *door) TrainInfo(data []byte, from proactor.Address, msg *proactor.Msg) {
	r.pass(data, from, msg)
}

// pass gives what a client has sent to its flow.
func (r *door) pass(data []byte, from proactor.Address, msg *proactor.Msg) {
	key := flowKey{client: from}
	if msg.Info.Has&proactor.HasLocal != 0 {
		key.local = msg.Info.Local
	}
	f := r.flows[key]
	if f == nil {
		if f = r.admit(key, msg.Info.Interface, countOf(data, msg.SegmentSize)); f == nil {
			return
		}
	}
	f.toUpstream(data, msg.SegmentSize)
}

// admit begins a flow, nil if it may not be, or cannot: then nobody is told of a
// flow, and its n datagrams are counted as refused.
func (r *door) admit(key flowKey, index, n int) *Flow {
	switch {
	case r.d.draining.Load():
		r.refuse(&key, n, nil)
		return nil
	case r.d.live.Load() >= int64(r.d.o.MaxFlows):
		r.refuse(&key, n, errManyFlows)
		return nil
	}
	f := &Flow{door: r, key: key}
	if key.local.IsValid() {
		f.answer.Info = proactor.Info{Has: proactor.HasLocal, Local: key.local}
		if key.local.IsLinkLocalUnicast() {
			f.answer.Info.Interface = index // without it such an address says nothing
		}
	}
	if a := r.d.o.Accept; a != nil && a.AcceptFlow(f) != nil {
		r.refuse(&key, n, nil)
		return nil
	}
	if err := f.begin(); err != nil {
		r.refuse(&key, n, err)
		return nil
	}
	r.enlist(f)
	r.serves()
	f.connect()
	return f
}

func (r *door) enlist(f *Flow) {
	r.d.live.Add(1)
	r.live.Add(1)
	r.accepted.Add(1)
	f.index = len(r.list)
	r.list = append(r.list, f)
	r.flows[f.key] = f
}

// delist forgets a flow that ends: the client's next datagram begins another.
func (r *door) delist(f *Flow) {
	delete(r.flows, f.key)
	last := len(r.list) - 1
	r.list[f.index] = r.list[last]
	r.list[f.index].index = f.index
	r.list[last] = nil
	r.list = r.list[:last]
}

// gone counts the end of a flow whose descriptor is closed.
func (r *door) gone(f *Flow) {
	r.ends[f.reason].Add(1)
	r.live.Add(-1)
	r.d.live.Add(-1)
	r.rest()
}

// rest closes the door once it drains and nobody is left.
func (r *door) rest() {
	if r.d.draining.Load() && r.live.Load() == 0 {
		r.port.StopListening()
	}
}

func (r *door) drain() {
	for i := len(r.list) - 1; i >= 0; i-- { // one that ends makes the last one take its place
		r.list[i].fire()
	}
	r.rest()
}

func (r *door) cut() {
	for i := len(r.list) - 1; i >= 0; i-- {
		r.list[i].end(Drained, Nobody, nil)
	}
	r.rest()
}

// SendFailed counts an answer that this host did not send.
func (r *door) SendFailed(proactor.Address, error) { r.dropped.Add(1) }

// StopProtocol is the end of the port, with the loop perhaps: then its flows end
// by themselves.
func (r *door) StopProtocol(error) { close(r.stopped) }

var (
	_ datagram.Protocol   = (*door)(nil)
	_ datagram.Informed   = (*door)(nil)
	_ datagram.SendFailer = (*door)(nil)

	_ datagram.InformedTrainReceiver = (*door)(nil)
)
