package uring

// A Choice is whether a feature is used, and why not.
type Choice struct {
	Feature Feature `json:"feature"`
	Used    bool    `json:"used"`
	Why     string  `json:"why,omitempty"` // "" if it is used
}

// A Report is what [Probe] found.
type Report struct {
	Available  bool     `json:"available"`            // Open would succeed
	Why        string   `json:"why,omitempty"`        // why not, and what to do about it
	Kernel     string   `json:"kernel,omitempty"`     // uname -r, for people: nothing is decided by it
	Setup      []string `json:"setup,omitempty"`      // IORING_SETUP_ flags that rings are made with
	Ring       []string `json:"ring,omitempty"`       // IORING_FEAT_ bits that the kernel reports
	Operations []string `json:"operations,omitempty"` // operations that the kernel knows, of those of interest here
	Missing    []string `json:"missing,omitempty"`    // what it lacks, of what is needed
	Choices    []Choice `json:"choices,omitempty"`    // features, used or not
	Buffers    string   `json:"buffers,omitempty"`    // how receives are lent memory
	Direct     string   `json:"direct,omitempty"`     // why Options.Direct cannot be had; "" if it can
	ZeroCopy   string   `json:"zero_copy,omitempty"`  // why Options.ZeroCopy cannot be had; "" if it can
	Restricted bool     `json:"restricted,omitempty"` // rings are limited to an allow-list
}
