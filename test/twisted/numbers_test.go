package twisted

import (
	"fmt"
	"strconv"
	"strings"
)

// An area is a chapter of the list, which has a section in docs/twisted.md.
type area struct {
	name        string
	first, last int // numbers
	count       int // how many numbers there are from first to last
}

// areas are the list's chapters.
var areas = []area{
	{"Core: lifecycle, event triggers, signals, shutdown", 1, 32, 24},
	{"Time: timers, clocks, periodic calls", 33, 61, 22},
	{"Raw descriptors and backend dispatch", 63, 79, 13},
	{"TCP client", 80, 93, 11},
	{"TCP server and listening ports", 95, 119, 19},
	{"Connector state machine", 120, 128, 7},
	{"Factories and protocols", 129, 140, 9},
	{"Stream transport: reading, writing, closing", 141, 155, 11},
	{"Half close", 156, 161, 5},
	{"Abort", 163, 173, 9},
	{"Producers and consumers", 175, 185, 9},
	{"TLS", 187, 236, 38},
	{"UNIX stream sockets", 237, 253, 13},
	{"UNIX datagram sockets", 255, 257, 3},
	{"UDP", 259, 279, 16},
	{"Multicast", 280, 285, 5},
	{"Child processes", 287, 320, 26},
	{"Standard input/output as a transport", 321, 328, 6},
	{"Adopting existing sockets", 329, 335, 5},
	{"Name resolution", 336, 345, 8},
	{"Endpoints", 347, 371, 19},
	{"Threads and wake-up", 372, 385, 11},
	{"Policies and wrappers", 387, 401, 12},
	{"Port forwarding", 403, 404, 2},
	{"PROXY protocol", 405, 413, 7},
	{"Reconnection helpers", 415, 425, 9},
	{"Test doubles", 427, 433, 6},
}

// rulesArea is the section of the X numbers.
const rulesArea = "What Twisted leaves open"

const (
	cases = 325 // numbers in all areas
	rules = 60  // X1 to X60
)

// A number is 17 for Case17, or "X30" for a rule: kept as text, "17" or "X30".
type number string

// every returns all numbers there are.
func every() map[number]bool {
	all := map[number]bool{}
	for _, a := range areas {
		for n := a.first; n <= a.last; n++ {
			if n%4 != 2 { // the list leaves these out
				all[number(strconv.Itoa(n))] = true
			}
		}
	}
	for n := 1; n <= rules; n++ {
		all[number("X"+strconv.Itoa(n))] = true
	}
	return all
}

// parseNumbers reads the numbers of a text: words, of which # ends each line.
func parseNumbers(text string) ([]number, error) {
	var out []number
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		for _, word := range strings.Fields(line) {
			if _, err := strconv.ParseUint(strings.TrimPrefix(word, "X"), 10, 16); err != nil {
				return nil, fmt.Errorf("%q is no number: want 17 or X30", word)
			}
			out = append(out, number(word))
		}
	}
	return out, nil
}
