// Package proc cares for plugin processes: what it takes so that nothing of a
// plugin outlives its trial, whichever side dies first.
//
// Host: Runner starts a plugin in a process group of its own, with null stdin
// and one end of a lifeline pipe on fd 3, keeps the last lines of stderr, and
// can always kill, in bounded time. EndClient bounds the transport's own end,
// which waits for ever on a stopped process. SocketDir finds a place that is
// short enough for sockets.
//
// Plugin: WatchLifeline notices the host's death and ends the whole group,
// GuardStdout keeps prints from blocking, StartChild starts what must die with
// the plugin.
//
// Who belongs to a plugin? Three marks, because each alone has a hole:
//
//   - its process group, which a process leaves with setsid or setpgid;
//   - the tree of parents in /proc, which loses a process when its parent dies
//     and another one adopts it;
//   - a cookie in the environment, which descendants inherit over any number of
//     forks and sessions, and which a process may clear.
//
// Both sides are subreapers, so that orphans stay in the tree while the plugin
// lives, and come to the host when it does not. What is left is a process that
// has left the group, cleared its environment and lost its plugin to a crash:
// nothing in /proc ties it to the plugin any more.
//
// Linux is what this package is for. Elsewhere it compiles, and only the group
// and the lifeline work.
package proc
