// Command mutants breaks Mobius on purpose, a line at a time, and runs the cases of
// test/twisted, or a package's own tests, that must notice: numbers in the names of tests prove nothing,
// a case that fails for the right reason does. No file is touched: a mutant is
// compiled by go build's overlay.
//
//	go run ./test/mutants               all areas
//	go run ./test/mutants abort reconnect
//
// An area's cases must pass as the code stands and fail with each of its
// mutants. The exit status is 1 if a mutant survives, or does not build. It
// takes minutes, so CI only checks that each mutant still applies.
package main

import (
	"flag"
	"fmt"
	"os"
	"slices"
)

func main() {
	root := flag.String("root", ".", "directory of the module")
	flag.Usage = usage
	flag.Parse()
	failed, err := run(*root, flag.Args())
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(1)
	}
	if failed > 0 {
		fmt.Printf("%d mutants were not caught\n", failed)
		os.Exit(1)
	}
	fmt.Println("all mutants were caught")
}

func usage() {
	fmt.Fprintln(os.Stderr, "usage: go run ./test/mutants [AREA]…, of the areas")
	for _, a := range areas() {
		fmt.Fprintf(os.Stderr, "  %-12s %d mutants, against the cases %s\n", a.name, len(a.mutants), a.run)
	}
}

// run tries the mutants of the named areas, or of all, and returns how many
// survived.
func run(root string, names []string) (failed int, err error) {
	for _, name := range names {
		if !slices.ContainsFunc(areas(), func(a area) bool { return a.name == name }) {
			return 0, fmt.Errorf("no area %q; -help lists them", name)
		}
	}
	dir, err := os.MkdirTemp("", "mutants")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	for _, a := range areas() {
		if len(names) > 0 && !slices.Contains(names, a.name) {
			continue
		}
		if out, err := try(root, dir, a, nil); err != nil {
			return failed, fmt.Errorf("the cases of %s fail without a mutant: %w\n%s", a.name, err, out)
		}
		for _, m := range a.mutants {
			verdict, err := judge(root, dir, a, m)
			if err != nil {
				return failed, err
			}
			fmt.Printf("%-10s %-12s %s: %s\n", verdict, a.name, m.file, m.what)
			if verdict != caught {
				failed++
			}
		}
	}
	return failed, nil
}
