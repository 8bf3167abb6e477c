package main

func endAreas() []area {
	return []area{
		{"adopted-ends", `^TestCase3(35|67)`, []mutant{
			{"the descriptor that was given stays open", "endpoint/adopt.go",
				"	if err := r.Discard(s.FD); err != nil {", "	if err := error(nil); err != nil {"},
			{"an adopted endpoint is for any number of uses", "endpoint/adopt.go",
				"	case s.used.Swap(true) ||", "	case"},
			{"the domain is not looked at", "endpoint/adopt.go",
				"s.Domain != is {", "s.Domain == is+is {"},
			{"a socket of the manager's is had twice", "endpoint/systemd.go",
				"	h.taken[fd] = true\n", ""},
			{"an index hides a name", "endpoint/systemd.go",
				"	case named && index >= 0:\n", "	case named && index > 1000:\n"},
		}},
		{"process-ends", `^TestCase36[89]`, []mutant{
			{"a status is no error", "endpoint/child.go",
				`		k.because(mobius.Lost, "exit", err)`, `		k.because(mobius.Done, "exit", err)`},
			{"the standard error is data", "endpoint/child.go",
				"	case fd == 1 && !k.closing:", "	case fd >= 1 && !k.closing:"},
			{"the standard error is dropped in any case", "endpoint/child.go",
				"	case fd == 2 && k.stderr == LogStderr:", "	case fd == 2 && k.stderr > DropStderr:"},
			{"a writer is not paused", "endpoint/child.go",
				"	if k.drain != nil && fd == 0 && !k.closing {\n		k.call(k.drain.PauseWriting)",
				"	if k.drain != nil && fd == 1 && !k.closing {\n		k.call(k.drain.PauseWriting)"},
			{"a pause does not reach the child", "endpoint/child.go",
				"	if !k.closing {\n		k.x.PauseReading()", "	if k.closing {\n		k.x.PauseReading()"},
		}},
	}
}
