package connector

// A State is where a Connector is, as its users see it.
type State uint8

// The states of a Connector.
const (
	Idle       State = iota // nothing is under way, or a callback says how it ended
	Waiting                 // ConnectAfter has set a time for the next attempt
	Connecting              // an attempt is under way
	Connected               // its protocol has a connection
)

// String returns the state in lower case.
func (s State) String() string {
	return [...]string{"idle", "waiting", "connecting", "connected"}[s]
}

// A phase is a State in the detail that the Connector itself needs.
//
//	        Connect              addresses           connected             protocol
//	idle ───────────▶ resolving ───────────▶ dialing ─────────▶ building ──────────▶ connected
//	 │ ▲                 │  │                 │ │ ▲ others, see     │                  │
//	 │ │ConnectAfter:    │  │                 │ └─┘ race            │ none, panic,     │ its end
//	 │ │waiting first    ▼  ▼                 ▼                     ▼ Disconnect       │
//	 │ │               failed ◀── no answer, no address left, timeout, StopConnecting, │
//	 │ │                 │        Disconnect, the loop's end                           │
//	 │ │                 │ no operation active                                         │
//	 │ └─────────────────┴───────────────▶ telling ◀───────────────────────────────────┘
//	 │       no Connect meanwhile             │ Connect, ConnectAfter in a callback:
//	 └── DoStop ◀─────────────────────────────┘ resolving or waiting again, without DoStop
type phase uint8

const (
	idle      phase = iota
	waiting         // the timer runs for the next attempt
	resolving       // the resolver was asked, or the attempt is being begun
	dialing         // Connect ops are active
	building        // the factory is being asked for a protocol
	failed          // how is decided; an op may still be active; the factory is told with the next flush
	connected       // the protocol has a connection
	telling         // the protocol and the factory are being told the end
)

// states maps phases to what users see.
var states = [...]State{
	idle: Idle, waiting: Waiting, resolving: Connecting, dialing: Connecting, building: Connecting,
	failed: Connecting, connected: Connected, telling: Idle,
}
