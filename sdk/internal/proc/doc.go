// Package proc cares for plugin processes: what it takes so that nothing of a
// plugin outlives its trial, whichever side dies first.
//
// Host: Runner starts a plugin in a process group of its own, with null stdin
// and one end of a lifeline pipe on fd 3, keeps the last lines of stderr, and
// can always kill, in bounded time. Sweep finds what escaped the group.
//
// Plugin: WatchLifeline notices the host's death and ends the whole group.
//
// A descendant is recognised in two ways, because each alone has a hole: by
// walking parents in /proc, which loses a process whose parent died and that was
// adopted by another, and by a cookie in the environment, which a process may
// have cleared. Both sides are subreapers, so that orphans come to them.
package proc
