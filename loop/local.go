package loop

// Local returns the value that l keeps under key, which fresh makes if there
// is none yet: for what all of a loop's connections share, such as pools. A
// key is a value of an unexported type of its package, as with
// context.WithValue. Loop goroutine.
func (l *Loop) Local(key any, fresh func() any) any {
	l.check("Local")
	v, ok := l.locals[key]
	if !ok {
		v = fresh()
		if l.locals == nil {
			l.locals = make(map[any]any)
		}
		l.locals[key] = v
	}
	return v
}
