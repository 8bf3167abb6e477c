package main

// reportAreas are of what a benchmark's figures are made into: a difference that is
// not there must not be shown.
func reportAreas() []area {
	return []area{
		{"bench-report", `^Test`, []mutant{
			{"any difference is shown", "bench/report/compare.go",
				"case ratio.Low <= 1 && ratio.High >= 1:", "case ratio.Low <= 1 && ratio.High >= 2:"},
			{"benchstat cannot hold two runs against each other", "bench/report/benchfmt.go",
				`"# flags"`, `"flags"`},
			{"few rounds show a difference", "bench/report/compare.go",
				"	case !enough:", "	case false && enough:"},
			{"less is better of everything", "bench/report/compare.go",
				"case (ratio.Low > 1) == more:", "case ratio.Low < 1:"},
			{"the interval is one of 90 %", "bench/report/compare.go",
				"sum/total > 0.025 {", "sum/total > 0.05 {"},
			{"a run that was disturbed is one like others", "bench/report/compare.go",
				"if len(old.Disturbed) > 0 {", "if len(old.Disturbed) > 1000 {"},
			{"a request costs what the process spends itself", "bench/report/figure.go",
				"float64(*s.User+*s.System) / float64(s.Requests)", "float64(*s.User) / float64(s.Requests)"},
			{"in an open loop latencies count from the sending", "bench/report/figure.go",
				"	h := s.Corrected\n", "	h := s.Latency\n"},
			{"a sample that failed has figures", "bench/report/figure.go",
				`s.Error == "" && s.Requests > 0`, "s.Requests > 0"},
			{"five rounds are six", "bench/report/html.go",
				"case m.N < 6:", "case m.N < 5:"},
			{"bytes that were wrong are not told", "bench/report/html.go",
				`add(bad, "%d bytes were wrong", "worse")`, "_ = bad"},
			{"wrong bytes may be better", "bench/report/html.go",
				"case p.Bad() > 0:", "case p.Bad() > 1<<40:"},
			{"a layer has the functions of all", "bench/report/profile.go",
				"			if layerOf(name) == l {", "			if layerOf(name) != \"\" {"},
			{"pinned or not is alike", "bench/report/compare.go",
				"		{\"pinning\", pinning(&old.Machine), pinning(&now.Machine)},\n", ""},
		}},
		{"bench-judge", `^TestJudge$`, []mutant{
			{"disturbed samples are not told", "bench/judge.go",
				"	if disturbed > 0 {", "	if disturbed > samples {"},
			{"wrong bytes are not told", "bench/judge.go",
				"if n := p.Bad(); n > 0 {", "if n := p.Bad(); n > 1<<40 {"},
			{"a load at its limit is not told", "bench/judge.go",
				"	if limited > 0 {", "	if limited > samples {"},
			{"a server at its limit counts as the load's", "bench/judge.go",
				" && server < s.Elapsed*90/100", " && server >= 0"},
			{"any governor will do", "bench/judge.go",
				` && g != "performance" {`, ` && g == "" {`},
		}},
	}
}
