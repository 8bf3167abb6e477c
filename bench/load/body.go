package load

// Body returns the n bytes that an HTTP server has to answer to GET
// /bytes?n=N with. They are shared: nobody may change them.
func Body(n int) []byte {
	p := newPattern(n)
	body := make([]byte, 0, n)
	for len(body) < n {
		body = append(body, p.at(uint64(len(body)), uint64(n-len(body)))...)
	}
	return body
}
