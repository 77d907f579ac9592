package directory

import (
	"hash/maphash"
	"maps"
)

// shards is chosen so that a change among 10,000 practices copies some forty entries instead of all.
const shards = 256

// table maps names to practices. A copy of a table shares its shards; an edit replaces those that it changes and leaves
// the shared ones alone. The zero table is empty.
type table struct {
	shard [shards]map[string]*Practice
}

var seed = maphash.MakeSeed()

func shardOf(name string) int { return int(maphash.String(seed, name) % shards) }

func (t *table) get(name string) *Practice { return t.shard[shardOf(name)][name] }

// edit begins a change of t, which no reader may see yet.
func (t *table) edit() *edit { return &edit{table: t} }

type edit struct {
	table *table
	own   [shards]bool // already copied for this edit
}

func (e *edit) writable(name string) map[string]*Practice {
	i := shardOf(name)
	if !e.own[i] {
		e.own[i] = true
		if e.table.shard[i] = maps.Clone(e.table.shard[i]); e.table.shard[i] == nil {
			e.table.shard[i] = make(map[string]*Practice)
		}
	}
	return e.table.shard[i]
}

func (e *edit) set(name string, p *Practice) { e.writable(name)[name] = p }

func (e *edit) remove(name string) { delete(e.writable(name), name) }
