module mobius

go 1.26.0

require (
	github.com/HdrHistogram/hdrhistogram-go v1.4.0
	github.com/pires/go-proxyproto v0.15.0
	golang.org/x/sys v0.49.0
)

require golang.org/x/net v0.62.0
