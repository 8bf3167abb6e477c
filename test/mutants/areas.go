package main

import "slices"

// areas returns all areas. Each area's mutants stand in a file of their own, or
// with their neighbours.
func areas() []area {
	return slices.Concat(benchAreas(), compatAreas(), coreAreas(), doubleAreas(), endAreas(), nameAreas(), netconnAreas(), policyAreas(),
		processAreas(), reportAreas(), secureAreas(), streamAreas(), tcpAreas(), waitAreas())
}
