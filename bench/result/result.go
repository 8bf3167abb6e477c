// Package result is the data of a benchmark run: what bench fills in, and what
// tables, reports and comparisons are made from. All of it is JSON. A figure
// that could not be had is missing, and never 0.
package result

import (
	"fmt"
	"strconv"
	"time"
)

// Version is that of the data's form. A reader refuses a newer one.
const Version = 1

// A Report is one run.
type Report struct {
	Version   int       `json:"version"`
	Machine   Machine   `json:"machine"`
	Commit    string    `json:"commit,omitempty"` // of the program
	Go        string    `json:"go"`               // version of Go that it was built by
	Flags     string    `json:"flags,omitempty"`  // how it was called
	Started   time.Time `json:"started"`
	Ended     time.Time `json:"ended"`
	Rounds    int       `json:"rounds"` // that were asked for
	Cases     []Case    `json:"cases"`
	Disturbed []string  `json:"disturbed,omitempty"` // what makes this run's figures doubtful
	Notes     []string  `json:"notes,omitempty"`     // what else a reader should know
}

// A Machine is what a run was on.
type Machine struct {
	CPU      string `json:"cpu,omitempty"`
	CPUs     int    `json:"cpus"` // that the run may use
	Memory   uint64 `json:"memory,omitempty"`
	Kernel   string `json:"kernel,omitempty"`
	Governor string `json:"governor,omitempty"` // of the processors' frequency
	Virtual  bool   `json:"virtual,omitempty"`  // a guest
	Load     string `json:"load,omitempty"`     // load average of the last minute, at the start
	Servers  []int  `json:"servers,omitempty"`  // processors of the servers; none: not pinned
	Loads    []int  `json:"loads,omitempty"`    // processors of the load
}

// A Case is a workload with its parameters, and what its peers did.
type Case struct {
	Workload string  `json:"workload"`
	Conns    int     `json:"conns"`          // connections, or peers on one socket
	Size     int     `json:"size"`           // bytes of a request
	Depth    int     `json:"depth"`          // requests in flight on a connection
	Rate     float64 `json:"rate,omitempty"` // requests per second in all, of an open loop
	Peers    []Peer  `json:"peers"`
}

// About says in words what is asked.
func (c *Case) About() string {
	count := func(n int, what string) string {
		if n == 1 {
			return "1 " + what
		}
		return fmt.Sprintf("%d %ss", n, what)
	}
	text := count(c.Conns, "connection") + ", " + count(c.Size, "byte")
	switch {
	case c.Rate > 0 && c.Workload == "udp": // sent when they are due, whatever is in flight
	case c.Rate > 0:
		text += fmt.Sprintf(", at most %d in flight on each", c.Depth)
	default:
		text += fmt.Sprintf(", %d in flight", c.Depth)
	}
	if c.Rate > 0 {
		text += ", " + strconv.FormatFloat(c.Rate, 'f', -1, 64) + " requests due per second; latencies count from when they were due"
	}
	return text
}

// A Peer is a server in one case.
type Peer struct {
	Name     string   `json:"name"`
	Kind     string   `json:"kind"` // echo, tls, unix, udp, http or proxy
	Command  string   `json:"command,omitempty"`
	Backend  string   `json:"backend,omitempty"`
	Loops    int      `json:"loops,omitempty"`
	Rounds   []Sample `json:"rounds,omitempty"`
	Syscalls *float64 `json:"syscalls,omitempty"` // per request, counted in a sample of its own
	Profile  string   `json:"profile,omitempty"`  // file of a CPU profile, taken in a sample of its own
	Missing  string   `json:"missing,omitempty"`  // why it was not measured
}

// A Sample is what one peer did in one round of a case.
type Sample struct {
	Round    int           `json:"round"`           // from 1
	Error    string        `json:"error,omitempty"` // why there are no figures
	Elapsed  time.Duration `json:"elapsed,omitempty"`
	Requests uint64        `json:"requests,omitempty"` // answered
	Bytes    uint64        `json:"bytes,omitempty"`    // received by the load
	Bad      uint64        `json:"bad"`                // bytes that were wrong or missing
	Lost     *uint64       `json:"lost,omitempty"`     // datagrams without an answer

	// The processor time of the server's processes, and of the load: a load that
	// needs all of Elapsed was the limit, and not the server.
	User    *time.Duration `json:"user,omitempty"`
	System  *time.Duration `json:"system,omitempty"`
	LoadCPU *time.Duration `json:"load_cpu,omitempty"`

	VoluntarySwitches   *uint64 `json:"voluntary_switches,omitempty"`
	InvoluntarySwitches *uint64 `json:"involuntary_switches,omitempty"`
	Mallocs             *uint64 `json:"mallocs,omitempty"` // heap objects of Go programs
	GCs                 *uint64 `json:"gcs,omitempty"`

	// Latency counts from the sending of a request; Corrected, in an open loop,
	// from when it was due.
	Latency   *Histogram `json:"latency,omitempty"`
	Corrected *Histogram `json:"corrected,omitempty"`

	// What the server held at the end; Added is what idle connections have added.
	Descriptors      *uint64 `json:"descriptors,omitempty"`
	Resident         *uint64 `json:"resident,omitempty"` // bytes
	AddedDescriptors *int64  `json:"added_descriptors,omitempty"`
	AddedResident    *int64  `json:"added_resident,omitempty"` // bytes

	Disturbed string `json:"disturbed,omitempty"` // what else the machine did meanwhile
}

// Rate returns the requests answered per second, 0 without figures.
func (s *Sample) Rate() float64 {
	if s.Elapsed <= 0 {
		return 0
	}
	return float64(s.Requests) / s.Elapsed.Seconds()
}

// CPU returns the server's processor time per request, and whether it is known.
func (s *Sample) CPU() (time.Duration, bool) {
	if s.User == nil || s.System == nil || s.Requests == 0 {
		return 0, false
	}
	return time.Duration(float64(*s.User+*s.System) / float64(s.Requests)), true
}
