package mobius_test

import (
	"context"
	"fmt"

	"mobius"
)

// A collector prints what a child has written once that has ended.
type collector struct {
	r   *mobius.Reactor
	out []byte
}

func (c *collector) ConnectionMade(p *mobius.Process) {
	if _, err := p.Write([]byte("hello\n")); err != nil {
		fmt.Println(err)
	}
	p.CloseStdin()
}

func (c *collector) ChildDataReceived(_ int, data []byte) { c.out = append(c.out, data...) }
func (c *collector) ChildConnectionLost(int)              {}
func (c *collector) ProcessExited(error)                  {}

func (c *collector) ProcessEnded(err error) {
	fmt.Printf("%q, %v\n", c.out, err)
	if err := c.r.Stop(); err != nil {
		fmt.Println(err)
	}
}

// A child gets a line and turns it into capital letters.
func ExampleReactor_SpawnProcess() {
	r, err := mobius.New(mobius.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	var c mobius.Command
	c.Path, c.Args = "/usr/bin/tr", []string{"tr", "a-z", "A-Z"}
	if _, err := r.SpawnProcess(&collector{r: r}, c); err != nil {
		fmt.Println(err)
	}
	if err := r.Run(context.Background()); err != nil {
		fmt.Println(err)
	}
	// Output: "HELLO\n", <nil>
}
