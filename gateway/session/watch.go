package session

// watch notes what changes while SQL is being read. A reading that began before a
// change may have seen what was before it; entered into the cache afterwards, it
// would bring an ended session back. So every reading is watched, and what a
// change concerned meanwhile is read again (tests: TestEndBeatsLoad…).
type watch struct {
	all      bool
	sessions []ID
	people   []string
}

const maxWatched = 64 // changes during one reading; beyond that all count

// begin starts watching. It comes before the reading.
func (c *cell) begin() *watch {
	w := new(watch)
	c.mu.Lock()
	c.watches[w] = struct{}{}
	c.mu.Unlock()
	return w
}

// finish stops watching.
func (c *cell) finish(w *watch) {
	c.mu.Lock()
	delete(c.watches, w)
	c.mu.Unlock()
}

// hit reports whether the session or its person changed. Under cell.mu, and in the
// same critical section in which the reading is entered.
func (w *watch) hit(id ID, person string) bool {
	if w.all {
		return true
	}
	for i := range w.sessions {
		if w.sessions[i] == id {
			return true
		}
	}
	for i := range w.people {
		if w.people[i] == person {
			return true
		}
	}
	return false
}

func (c *cell) noteSession(id ID) {
	for w := range c.watches {
		if len(w.sessions) == maxWatched {
			w.all = true
		} else {
			w.sessions = append(w.sessions, id)
		}
	}
}

func (c *cell) notePerson(id string) {
	for w := range c.watches {
		if len(w.people) == maxWatched {
			w.all = true
		} else {
			w.people = append(w.people, id)
		}
	}
}

func (c *cell) noteAll() {
	for w := range c.watches {
		w.all = true
	}
}
