package sim

// An eventKind says what happens at an event's time.
type eventKind uint8

const (
	evSend     eventKind = iota + 1 // sock's Send goes on
	evArrive                        // n bytes reach sock
	evFin                           // the end of the stream reaches sock
	evReset                         // a reset reaches sock
	evConnect                       // an op's connection request reaches the other side
	evFinish                        // an op ends with the result that it carries already
	evCancel                        // an op's Cancel takes effect
	evArm                           // an op that the kernel had dropped is armed again
	evReady                         // an op is looked at again
	evServe                         // backend b has buffers again for those who starve
	evDatagram                      // datagram n of the net reaches sock
	evPin                           // backend b lets go of pin n
	evScript                        // the child sock goes on with its script
	evBreak                         // the connection of sock breaks on its way
	evRoom                          // sock learns that its peer has room
	eventKinds
)

var eventNames = [eventKinds]string{
	"", "send", "arrive", "fin", "reset", "connect", "finish", "cancel", "arm", "ready", "serve", "datagram", "pin",
	"script", "break", "room",
}

func (k eventKind) String() string { return eventNames[k] }

// An event is something that will happen on the net. It names an op by its
// place in the backend's table and the serial number of its Submit, so that
// an event that outlived its op finds nothing.
type event struct {
	at     int64 // virtual nanoseconds
	seq    uint64
	sock   *socket
	b      *Backend
	slot   uint32
	serial uint32
	n      int
	kind   eventKind
}

func (e *event) before(o *event) bool {
	return e.at < o.at || e.at == o.at && e.seq < o.seq
}

// An agenda is a binary heap of events by (time, sequence).
type agenda struct {
	heap []event
	seq  uint64
}

func (a *agenda) add(e event) {
	a.seq++
	e.seq = a.seq
	a.heap = append(a.heap, e)
	i := len(a.heap) - 1
	for i > 0 {
		up := (i - 1) / 2
		if !e.before(&a.heap[up]) {
			break
		}
		a.heap[i] = a.heap[up]
		i = up
	}
	a.heap[i] = e
}

// pop removes and returns the first event; the agenda is not empty.
func (a *agenda) pop() event {
	first := a.heap[0]
	end := len(a.heap) - 1
	last := a.heap[end]
	a.heap[end] = event{}
	a.heap = a.heap[:end]
	if end == 0 {
		return first
	}
	i := 0
	for {
		down := 2*i + 1
		if down >= end {
			break
		}
		if down+1 < end && a.heap[down+1].before(&a.heap[down]) {
			down++
		}
		if !a.heap[down].before(&last) {
			break
		}
		a.heap[i] = a.heap[down]
		i = down
	}
	a.heap[i] = last
	return first
}
